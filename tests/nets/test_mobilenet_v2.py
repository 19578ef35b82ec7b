"""MobileNet v2 has the published size, and computes what that of tf_keras.applications computes."""

from __future__ import annotations

import pytest
import tf_keras as keras

from pocketflow.nets.mobilenet_v2 import mobilenet_v2
from pocketflow.nets.pretrained import application, copy_in_order
from pocketflow.utils.costs.cost_model import total_macs
from tests.nets.conftest import assert_same_logits, num_trainable, with_random_weights


def test_size_and_outputs():
    """Sandler et al. 2018, table 4: 3.4 M parameters, 300 M multiply-adds. The specification counts 3,506,153
    for 1001 classes, 1281 more.
    """
    model = mobilenet_v2((224, 224, 3), 1000)
    assert num_trainable(model) == 3_506_153 - 1281
    assert total_macs(model) / 1e6 == pytest.approx(300.8, abs=0.1)
    theirs = with_random_weights(application(keras.applications.MobileNetV2, None))
    copy_in_order(theirs, model)
    assert_same_logits(model, theirs)
