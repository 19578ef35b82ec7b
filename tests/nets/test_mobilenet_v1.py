"""MobileNet v1 has the published size, and computes what that of tf_keras.applications computes."""

from __future__ import annotations

import pytest
import tf_keras as keras

from pocketflow.nets.mobilenet_v1 import mobilenet_v1
from pocketflow.nets.pretrained import application, copy_in_order
from pocketflow.utils.costs.cost_model import total_macs
from tests.nets.conftest import assert_same_logits, num_trainable, with_random_weights


def test_size_and_outputs():
    """Howard et al. 2017, table 4: 4.2 M parameters, 569 M multiply-adds. The specification counts 4,233,001 parameters
    for 1001 classes, 1025 more.
    """
    model = mobilenet_v1((224, 224, 3), 1000)
    assert num_trainable(model) == 4_233_001 - 1025
    assert total_macs(model) / 1e6 == pytest.approx(568.7, abs=0.1)
    theirs = with_random_weights(application(keras.applications.MobileNet, None))
    copy_in_order(theirs, model)
    assert_same_logits(model, theirs)
