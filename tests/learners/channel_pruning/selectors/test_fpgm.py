from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning.selectors.fpgm import filters_of, summed_distances
from pocketflow.utils.channels import trace

layers = keras.layers


def test_distances_by_hand():
    filters = np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0], [0.0, 5.0]])
    far = np.hypot(6, 3)
    np.testing.assert_allclose(
        summed_distances(filters), [5 + 10 + 5, 5 + 5 + np.hypot(3, 1), 10 + 5 + far, 5 + np.hypot(3, 1) + far]
    )


def test_a_copy_of_another_filter_is_replaceable_however_large_it_is():
    filters = np.array([[10.0, 0.0], [10.0, 0.0], [0.0, 1.0]])
    assert summed_distances(filters).argmax() == 2


@pytest.mark.parametrize(
    ('layer', 'size'),
    [
        (layers.Conv2D(4, 3), 3 * 3 * 6),
        (layers.Conv2D(4, 3, groups=2), 3 * 3 * 3),
        (layers.Conv2DTranspose(4, 3), 3 * 3 * 6),
        (layers.SeparableConv2D(4, 3), 6),
        (layers.Dense(4), 6),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_filters_of_every_type_of_layer(layer, size):
    inputs = keras.Input((5, 5, 6))
    (step,) = [step for step in trace(keras.Model(inputs, layer(inputs))).steps if step.reads]
    filters = filters_of(step)
    assert filters.shape == (4, size)
    kernel = layer.pointwise_kernel if hasattr(layer, 'pointwise_kernel') else layer.kernel
    third = kernel[:, :, 2] if isinstance(layer, layers.Conv2DTranspose) else kernel[..., 2]
    np.testing.assert_array_equal(filters[2], np.ravel(third).astype(float))
