from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.graph import standard_form
from pocketflow.utils.graph.preprocessing import (
    channel_map,
    channel_maps_as_convolutions,
    fold_channel_maps,
    without_augmentation,
)

layers = keras.layers
IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 6, 6, 3)).astype(np.float32)
STATISTICS = {'mean': [100.0, 110.0, 120.0], 'variance': [2500.0, 3600.0, 4900.0]}


def network(*front: keras.layers.Layer) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = x = keras.Input((6, 6, 3))
    for layer in front:
        x = layer(x)
    return keras.Model(inputs, layers.Dense(2, name='last')(layers.GlobalAveragePooling2D()(x)), name='net')


def kinds(model: keras.Model) -> list[str]:
    """The classes of the layers before the pooling."""
    return [type(layer).__name__ for layer in model.layers[1:-2]]


def same(one: keras.Model, two: keras.Model) -> bool:
    expected = np.asarray(one(IMAGES, training=False))
    return bool(np.abs(two(IMAGES, training=False) - expected).max() < 1e-5 * np.ptp(expected))


def test_what_layers_compute():
    scale, offset = channel_map(layers.Rescaling(0.5, offset=-1))
    assert (scale, offset) == (0.5, -1)
    scale, offset = channel_map(layers.Rescaling([1, 2, 3], offset=0.5)).for_channels(3)
    assert (list(scale), list(offset)) == ([1, 2, 3], [0.5, 0.5, 0.5])
    normalization = layers.Normalization(**STATISTICS)
    normalization.build((None, 6, 6, 3))
    scale, offset = channel_map(normalization)
    np.testing.assert_allclose(scale, [1 / 50, 1 / 60, 1 / 70])
    np.testing.assert_allclose(offset, [-2, -110 / 60, -120 / 70])
    by_place = layers.Normalization(axis=1, mean=np.arange(6.0), variance=np.ones(6))
    by_place.build((None, 6, 6, 3))
    for other in (by_place, layers.ReLU(), layers.Rescaling(np.ones((6, 1, 1)))):
        assert channel_map(other) is None


def rescaling() -> keras.layers.Layer:
    return layers.Rescaling(1 / 127.5, offset=-1)


FOLDED = {
    'no padding': lambda: [rescaling(), layers.Conv2D(4, 3)],
    'no bias': lambda: [rescaling(), layers.Conv2D(4, 3, strides=2, use_bias=False, activation='relu')],
    'no shift': lambda: [layers.Rescaling(1 / 255), layers.Conv2D(4, 3, padding='same')],
    'a channel each': lambda: [layers.Normalization(**STATISTICS), layers.Conv2D(4, 3)],
    'two': lambda: [layers.Rescaling(2.0), layers.Normalization(**STATISTICS), layers.Conv2D(4, 3)],
    'depthwise': lambda: [layers.Normalization(**STATISTICS), layers.DepthwiseConv2D(3, depth_multiplier=2)],
    'dense': lambda: [layers.Normalization(**STATISTICS), layers.Dense(4)],
}
KEPT = {
    'padding': lambda: [rescaling(), layers.Conv2D(4, 3, padding='same')],
    'groups': lambda: [rescaling(), layers.Conv2D(6, 3, groups=3)],
    'pooling': lambda: [rescaling(), layers.MaxPooling2D(2)],
    'nothing behind': lambda: [layers.Conv2D(4, 1), rescaling()],
}


@pytest.mark.parametrize('name', FOLDED)
def test_exact_maps_are_folded(name):
    model = network(*FOLDED[name]())
    folded = fold_channel_maps(model)
    assert same(model, folded) and kinds(folded) == kinds(model)[-1:] and folded.name == 'net'


@pytest.mark.parametrize('name', KEPT)
def test_other_maps_are_kept_or_become_convolutions(name):
    model = network(*KEPT[name]())
    assert fold_channel_maps(model) is model
    converted = channel_maps_as_convolutions(model)
    assert same(model, converted)
    assert kinds(converted) == ['DepthwiseConv2D' if kind == 'Rescaling' else kind for kind in kinds(model)]
    assert not converted.get_layer(next(layer.name for layer in model.layers if channel_map(layer))).trainable


def test_a_map_with_two_readers_is_kept():
    inputs = keras.Input((6, 6, 3))
    scaled = layers.Rescaling(0.5)(inputs)
    model = keras.Model(inputs, layers.Add()([scaled, layers.Conv2D(3, 1)(scaled)]))
    assert fold_channel_maps(model) is model
    assert fold_channel_maps(keras.Model(inputs, scaled)).layers[-1].name == model.layers[1].name


def test_augmentations_are_left_out():
    model = network(layers.RandomFlip(), rescaling(), layers.RandomRotation(0.1), layers.Conv2D(4, 3))
    plain = without_augmentation(model)
    assert kinds(plain) == ['Rescaling', 'Conv2D'] and same(model, plain)
    assert kinds(fold_channel_maps(plain)) == ['Conv2D'] and without_augmentation(plain) is plain


def test_a_model_without_maps_is_handed_on_as_it_is():
    model = network(layers.Conv2D(4, 3))
    assert channel_maps_as_convolutions(model) is fold_channel_maps(model) is without_augmentation(model) is model


def test_augmentations_of_a_given_network_change_training_images_only():
    augmentation = keras.Sequential([layers.Input((6, 6, 3)), layers.RandomFlip(), layers.RandomRotation(0.2)])
    inputs = keras.Input((6, 6, 3))
    model = keras.Model(inputs, layers.Flatten()(augmentation(inputs)))
    form = standard_form(model, (6, 6, 3)).model
    pixels = IMAGES.reshape(4, -1)
    np.testing.assert_array_equal(form(IMAGES, training=False), pixels)
    changed, again = (np.asarray(form(IMAGES, training=True)) for _ in range(2))
    assert (changed != pixels).any(axis=1).all() and (changed != again).any()
