"""EfficientNet-Lite0 has the published size."""

from __future__ import annotations

import pytest

from pocketflow.nets.efficientnet_lite0 import efficientnet_lite0
from pocketflow.utils.costs.cost_model import total_macs


def test_it_has_the_published_size():
    """TensorFlow's table of the Lite networks: 4.7 M parameters, 407 M multiply-adds.

    The arrays of its checkpoint have 4,652,008 trainable values. Convolutions and the dense layer, which are counted
    here, take 385 M multiply-adds; TensorFlow's profiler, from which the published figure is, counts others, too.
    """
    model = efficientnet_lite0((224, 224, 3), 1000)
    assert sum(int(variable.shape.num_elements()) for variable in model.trainable_variables) == 4_652_008
    assert total_macs(model) / 1e6 == pytest.approx(385, abs=1)
    assert model.get_layer('block16_project').output_shape == (None, 7, 7, 320)
