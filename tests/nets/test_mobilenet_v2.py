"""MobileNet v2 has the published sizes."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.nets.mobilenet_v2 import mobilenet_v2
from pocketflow.utils.costs.cost_model import total_macs

IMAGE = (224, 224, 3)


def test_it_has_the_published_size():
    """Sandler et al. 2018, table 4: 3.4 M parameters, 300 M multiply-adds; the specification counts 3,506,153."""
    model = mobilenet_v2(IMAGE, 1001)
    assert sum(int(np.prod(variable.shape)) for variable in model.trainable_variables) == 3_506_153
    assert total_macs(model) / 1e6 == pytest.approx(300.8, abs=0.1)
    assert sum(layer.name.endswith('_add') for layer in model.layers) == 10
