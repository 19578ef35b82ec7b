"""MobileNet v1 has the published sizes."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.nets.mobilenet_v1 import mobilenet_v1
from pocketflow.utils.costs.cost_model import total_macs

IMAGE = (224, 224, 3)


def test_it_has_the_published_size():
    """Howard et al. 2017, table 4: 4.2 M parameters, 569 M multiply-adds; the specification counts 4,233,001."""
    model = mobilenet_v1(IMAGE, 1001)
    assert sum(int(np.prod(variable.shape)) for variable in model.trainable_variables) == 4_233_001
    assert total_macs(model) / 1e6 == pytest.approx(568.7, abs=0.1)
    assert model.get_layer('block13_pointwise').output_shape == (None, 7, 7, 1024)
