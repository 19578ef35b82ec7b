"""Decisions on single layers."""

from __future__ import annotations

import numpy as np
import tf_keras as keras

from pocketflow.learners.post_training.rounding import (
    activations_behind,
    kernel_matrix,
    mean_difference,
    outputs_with,
    rounded_nearest,
)

k = keras.layers


def test_mean_difference_per_channel():
    wanted, made = np.zeros((2, 2, 1, 2)), np.zeros((2, 2, 1, 2))
    wanted[0, 0, 0] = 4, -8
    made[1, 1, 0, 1] = 4
    np.testing.assert_array_equal(mean_difference(wanted, made), [1, -3])  # over four positions


def test_outputs_with_another_kernel():
    layer = k.Dense(1, kernel_initializer='ones', bias_initializer='ones')
    images = np.float32([[1, 2], [3, 4]])
    layer(images)
    np.testing.assert_array_equal(outputs_with(layer, np.float32([[2], [0]]), images), [[3], [7]])
    np.testing.assert_array_equal(layer.kernel, [[1], [1]])


def test_grids_per_channel_and_per_layer():
    convolution, depthwise, dense = k.Conv2D(2, 1, use_bias=False), k.DepthwiseConv2D(1), k.Dense(2)
    images = np.zeros((1, 1, 1, 2), np.float32)
    for layer in (convolution, depthwise, dense):
        layer(images)
    kernel = np.float32([[1.0, 0.01], [-0.5, 0.005]])
    convolution.set_weights([kernel.reshape(1, 1, 2, 2)])
    dense.set_weights([kernel, np.zeros(2, np.float32)])
    assert kernel_matrix(depthwise, depthwise.depthwise_kernel.numpy()).shape == (1, 2)
    assert (np.asarray(rounded_nearest(convolution, 4)) != 0).all()
    np.testing.assert_array_equal(np.asarray(rounded_nearest(dense, 4))[:, 1], 0)  # below half a step of the layer


def test_activations_that_the_file_computes_with_a_layer():
    inputs = keras.Input((4, 4, 2))
    features = k.ReLU(6.0)(k.Conv2D(2, 1, name='one')(inputs))
    features = k.Activation('relu')(k.Conv2D(2, 1, name='two')(features))
    branches = k.Conv2D(2, 1, name='three')(features)
    model = keras.Model(inputs, k.Add()([k.ReLU()(branches), branches]))
    assert activations_behind(model) == {'one': 'relu6', 'two': 'relu'}
