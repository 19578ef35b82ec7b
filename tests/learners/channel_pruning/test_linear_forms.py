"""Layers as matrix products: patches times weights are what the layers compute."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.learners.channel_pruning.linear_forms import (
    channel_index,
    cut_windows,
    draw_places,
    linear_form,
    values_at,
    window_geometry,
)

layers = keras.layers


def all_places(size: tuple[int, int]) -> np.ndarray:
    return np.stack(np.meshgrid(*map(np.arange, size), indexing='ij'), axis=-1).reshape(-1, 2)


@pytest.mark.parametrize(
    'options',
    [
        {'kernel_size': 3, 'padding': 'same'},
        {'kernel_size': 3, 'padding': 'valid'},
        {'kernel_size': 3, 'strides': 2, 'padding': 'same'},
        {'kernel_size': (5, 2), 'strides': (2, 3), 'padding': 'valid'},
        {'kernel_size': 3, 'dilation_rate': 2, 'padding': 'same'},
        {'kernel_size': 1, 'strides': 2, 'padding': 'same'},
        {'kernel_size': 4, 'strides': 3, 'padding': 'same'},
    ],
)
def test_windows_times_kernel_are_the_outputs(options):
    keras.utils.set_random_seed(0)
    layer = layers.Conv2D(4, use_bias=False, **options)
    inputs = tf.random.normal([3, 9, 10, 2])
    outputs = layer(inputs)
    _, size = window_geometry(layer, (9, 10))
    assert tuple(size) == tuple(outputs.shape[1:3])
    places = np.stack(np.meshgrid(*map(np.arange, size), indexing='ij'), axis=-1).reshape(-1, 2)
    windows = cut_windows(inputs, layer, places)
    np.testing.assert_allclose(windows @ tf.reshape(layer.kernel, [-1, 4]), values_at(outputs, places), atol=1e-5)


SAME, VALID = {'padding': 'same'}, {'padding': 'valid'}


@pytest.mark.parametrize(
    'make',
    [
        lambda: layers.Conv2D(6, 3, strides=2, **SAME),
        lambda: layers.Conv2D(6, 3, groups=2, **SAME),
        lambda: layers.Conv2D(8, (1, 2), groups=4, strides=3),
        lambda: layers.SeparableConv2D(5, 3, **SAME),
        lambda: layers.SeparableConv2D(5, (3, 2), strides=2, depth_multiplier=2, **VALID),
        lambda: layers.SeparableConv2D(5, 3, dilation_rate=2, **SAME),
        lambda: layers.Conv2DTranspose(6, 3, strides=2, **SAME),
        lambda: layers.Conv2DTranspose(6, 3, strides=2, **VALID),
        lambda: layers.Conv2DTranspose(6, (2, 3), strides=(3, 1), **SAME),
        lambda: layers.Conv2DTranspose(6, 2, strides=2, **SAME),
        lambda: layers.Conv2DTranspose(3, 1, strides=3, **VALID),
        lambda: layers.Conv2DTranspose(6, 5, **VALID),
        lambda: layers.Conv2DTranspose(6, 4, strides=2, **SAME),
    ],
)
def test_patches_times_weights_are_the_outputs(make):
    keras.utils.set_random_seed(0)
    layer, inputs = make(), tf.random.normal([3, 7, 8, 4])
    outputs, form = layer(inputs), linear_form(layer)
    assert tuple(form.output_size(inputs.shape)) == tuple(outputs.shape[1:3])
    places = all_places(outputs.shape[1:3])
    weights = form.weights()
    assert weights.shape == form.shape
    np.testing.assert_allclose(
        form.patches(inputs, places) @ weights.astype(np.float32), values_at(outputs, places), atol=1e-5
    )
    inside = np.zeros(form.shape, bool)
    for features, of_outputs in form.blocks():
        inside[np.ix_(features, of_outputs)] = True
    assert not weights[~inside].any() and weights[inside].all()
    form.assign(2 * weights)
    np.testing.assert_allclose(layer(inputs), 2 * outputs, atol=1e-5)


@pytest.mark.parametrize(
    'make',
    [
        lambda: layers.Conv2D(6, 3),
        lambda: layers.Conv2D(6, 3, groups=2),
        lambda: layers.Conv2DTranspose(6, 3, strides=2),
        lambda: layers.SeparableConv2D(5, 3, depth_multiplier=2),
        lambda: layers.Dense(5),
    ],
)
def test_features_belong_to_the_channel_that_they_come_from(make):
    keras.utils.set_random_seed(0)
    layer = make()
    layer.build((None, 5, 5, 4))
    form, inputs = linear_form(layer), np.random.default_rng(0).normal(size=(1, 5, 5, 4)).astype(np.float32)
    channel_of = form.channel_of([np.array([0, 2]), np.array([1]), np.array([3])])
    size = form.output_size(inputs.shape)
    places = None if size is None else all_places(size)
    for channel, silent in enumerate(([0, 2], [1], [3])):
        masked = inputs.copy()
        masked[..., silent] = 0
        features = np.abs(form.patches(tf.constant(masked), places).numpy()).max(axis=0)
        assert not features[channel_of == channel].any() and features[channel_of != channel].all()


def test_layers_without_a_form():
    for layer in (
        layers.DepthwiseConv2D(3),
        layers.Conv1D(4, 3),
        layers.Conv2D(4, 3, data_format='channels_first'),
        layers.Conv2DTranspose(4, 3, strides=2, output_padding=1),
    ):
        assert linear_form(layer) is None


def test_no_more_places_are_drawn_than_there_are():
    rng = np.random.default_rng(0)
    assert draw_places(rng, np.array([1, 1]), 10).tolist() == [[0, 0]]
    assert draw_places(rng, np.array([1, 3]), 10).tolist() == [[0, 0], [0, 1], [0, 2]]
    assert draw_places(rng, None, 10) is None
    drawn = draw_places(np.random.default_rng(1), np.array([4, 3]), 5)
    assert drawn.shape == (5, 2) and (drawn < [4, 3]).all()


def test_channel_index_follows_the_flattened_kernel():
    # Two kernel positions, three inputs, of which the outer two are one channel.
    assert channel_index([np.array([0, 2]), np.array([1])], 2).tolist() == [0, 1, 0, 0, 1, 0]
