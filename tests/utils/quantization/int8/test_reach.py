"""Least widths of ranges: by hand, and on files of networks that are dead in part."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.quantization.int8.limits import LEAST_SHARE, least_width
from pocketflow.utils.quantization.int8.placement import Place
from pocketflow.utils.quantization.int8.reach import Range, possible_ranges, reach
from pocketflow.utils.quantization.int8.wrapping import quantization_aware

layers = keras.layers


@pytest.mark.parametrize(
    ('width', 'expected'), [(1.0, 2 / 1024), (1e-4, 2 / 1024), (2e-6, 2 / 1024), (1.9e-6, 2.0), (0.0, 2.0)]
)
def test_a_tensor_that_was_always_zero_gets_all_that_it_could_reach(width, expected):
    assert least_width(2.0, width) == expected


def built(layer: keras.layers.Layer, shape: tuple[int, ...], *weights: np.ndarray) -> keras.layers.Layer:
    layer.build((None, *shape))
    layer.set_weights(weights)
    return layer


def test_reach_of_kernels_is_that_of_one_product_per_output():
    kernel = np.float32([[1, -2, 0.5], [-3, 1, 0.25]])  # two inputs, three outputs
    dense = built(layers.Dense(3, use_bias=False), (2,), kernel)
    np.testing.assert_array_equal(reach(dense, [10.0]), [30, 20, 5])
    conv = built(layers.Conv2D(3, 1, use_bias=False), (4, 4, 2), kernel[None, None])
    np.testing.assert_array_equal(reach(conv, [np.array([1.0, 10.0])]), [30, 20, 5])
    depthwise = built(layers.DepthwiseConv2D(1, depth_multiplier=3, use_bias=False), (4, 4, 2), kernel[None, None])
    np.testing.assert_array_equal(reach(depthwise, [10.0]), [10, 20, 5, 30, 10, 2.5])
    transposed = built(layers.Conv2DTranspose(2, 1, use_bias=False), (4, 4, 3), kernel[None, None])
    np.testing.assert_array_equal(reach(transposed, [10.0]), [20, 30])


def test_reach_of_other_layers():
    norm = built(layers.BatchNormalization(epsilon=0.0), (2,), *np.float32([[2, -3], [0, 0], [0, 0], [4, 1]]))
    np.testing.assert_array_equal(reach(norm, [np.array([10.0, 1.0])]), [10, 3])
    assert reach(layers.Multiply(), [10.0, np.array([2.0, 3.0])]) == 30
    assert reach(layers.Add(), [10.0, np.array([2.0, 30.0])]) == 30
    assert reach(layers.Rescaling(1e-6), [10.0]) is None


def test_ranges_are_carried_from_layer_to_layer():
    inputs = layers.Input((1,))
    first, second = layers.Dense(1, name='first'), layers.Dense(1, name='second')
    model = keras.Model(inputs, second(first(inputs)))
    first.set_weights([np.float32([[2]]), np.zeros(1)])
    second.set_weights([np.float32([[0.5]]), np.zeros(1)])
    where = dict.fromkeys(('first', 'second'), Place('kernel', output=True))
    observed = {'first': (0.0, 0.0), 'second': (-1.0, 1.0)}
    assert possible_ranges(model, where, observed, largest_input=3.0) == {
        'first': Range(0.0, 6.0, 6 * LEAST_SHARE),
        'second': Range(-1.0, 1.0, 3 * LEAST_SHARE),
    }
    assert possible_ranges(model, where, observed, largest_input=0.0)['first'] == Range(0.0, 1.0, 0.0)


def half_dead() -> keras.Model:
    """Two convolutions whose outputs are 1e-12 and less, an addition of these, and a classifier with a bias."""
    keras.utils.set_random_seed(0)
    inputs = layers.Input((6, 6, 3))
    features = layers.Conv2D(4, 3, activation='relu', name='first')(inputs)
    left = layers.Conv2D(4, 3, activation='relu', padding='same', name='left')(features)
    right = layers.Conv2D(4, 3, padding='same', name='right')(left)
    total = layers.Add(name='total')([left, right])
    logits = layers.Dense(3, bias_initializer='random_normal', name='logits')(layers.Flatten()(total))
    return keras.Model(inputs, logits)


@pytest.mark.parametrize('width', [0.0, 1e-12])
def test_a_range_that_has_shrunk_gives_a_file_that_runs_as_simulated(width):
    images = np.random.default_rng(0).normal(size=(32, 6, 6, 3)).astype(np.float32)
    model = quantization_aware(half_dead(), images)
    for name in ('left', 'right', 'total'):
        layer = model.get_layer(name)
        start = layer.range
        layer.set_range(0.0, width)
        assert start[1] / 1024 / 64 < layer.range[1] < start[1] / 4
    simulated = model(images, training=False).numpy()
    step = np.ptp(model.get_layer('logits').range) / 255
    assert np.abs(LiteRtRunner(convert(model, 'int8')).predict(images) - simulated).max() < 1.5 * step


def test_training_does_not_shrink_a_range_below_its_least_width():
    images = np.random.default_rng(0).normal(size=(32, 6, 6, 3)).astype(np.float32)
    model = quantization_aware(half_dead(), images)
    layer = model.get_layer('left')
    layer.set_range(0.0, 1e-20)
    least = layer.simulation.least
    assert least > 0 and layer.range == (0.0, least)
    (bias,) = (weight for weight in layer.weights if 'bias' in weight.name)
    bias.assign(np.full(4, -100.0))
    for _ in range(2):
        model(images, training=True)
    assert layer.range == (0.0, least)
