"""Grids of kernels, worked out by hand."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.quantization.int8.wrappers import QuantizedLayer, Simulation, may_need_autograph, round_symmetric


def test_per_tensor():
    kernel = np.array([[7.0, 1.4], [-0.6, 0.4]], np.float32)
    np.testing.assert_allclose(round_symmetric(kernel, 4, per_channel=False), [[7, 1], [-1, 0]], atol=1e-6)


def test_per_channel():
    kernel = np.array([[7.0, 0.7], [1.4, 0.14]], np.float32)[None, None]
    np.testing.assert_allclose(round_symmetric(kernel, 4, per_channel=True)[0, 0], [[7, 0.7], [1, 0.1]], atol=1e-6)


def test_depthwise_channels_have_a_range_each():
    kernel = np.array([[7.0, 0.7], [1.4, 0.14]], np.float32)[:, None, :, None]
    rounded = round_symmetric(kernel, 4, per_channel=True, depthwise=True)
    np.testing.assert_allclose(rounded[:, 0, :, 0], [[7, 0.7], [1, 0.1]], atol=1e-6)


def test_a_convolution_with_one_filter_has_one_range():
    kernel = np.array([[7.0, 0.7], [1.4, 0.14]], np.float32)[:, None, :, None]
    rounded = round_symmetric(kernel, 4, per_channel=True)
    np.testing.assert_allclose(rounded[:, 0, :, 0], [[7, 1], [1, 0]], atol=1e-6)


def test_each_output_of_a_depthwise_convolution_has_a_range():
    kernel = np.array([[7.0, 0.7], [0.07, 70.0]], np.float32)[None, None]  # two channels, multiplier 2
    np.testing.assert_allclose(round_symmetric(kernel, 4, per_channel=True, depthwise=True), kernel, rtol=1e-5)


def test_a_narrow_grid_is_part_of_the_stored_one():
    kernel = np.array([0.7, -0.3, 0.1, 0.0], np.float32)
    np.testing.assert_allclose(round_symmetric(kernel, 8, per_channel=False, factor=127 / 7), kernel, atol=1e-6)


def test_zeros_stay_zero_and_gradients_pass():
    kernel = tf.Variable(np.zeros((1, 1, 2, 2), np.float32))
    with tf.GradientTape() as tape:
        rounded = round_symmetric(kernel, 8, per_channel=True)
    np.testing.assert_array_equal(rounded, np.zeros((1, 1, 2, 2)))
    np.testing.assert_array_equal(tape.gradient(rounded, kernel), np.ones((1, 1, 2, 2)))


class Halving(keras.layers.Layer):
    """A layer of somebody's own with a condition on a tensor."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        if tf.reduce_max(inputs) > 1:
            inputs = inputs / 2
        return inputs


def test_conditions_of_own_layers_are_converted():
    layer = Halving()
    assert may_need_autograph(layer) and not may_need_autograph(keras.layers.Conv2D(2, 3))
    wrapper, inputs = QuantizedLayer(layer, Simulation(None, output=True)), keras.Input((2,))
    model = keras.Model(inputs, wrapper(inputs))
    wrapper.set_range(0.0, 2.55)
    values = tf.constant([[0.5, 2.0]])
    np.testing.assert_allclose(tf.function(model)(values), [[0.25, 1.0]], atol=1e-6)
    np.testing.assert_allclose(tf.function(model)(values / 2), [[0.25, 1.0]], atol=1e-6)
