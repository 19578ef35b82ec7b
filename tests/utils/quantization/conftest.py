"""A small network with all kinds of layers that matter to quantization."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

layers = keras.layers


def make_net() -> keras.Model:
    """Conv2D, DepthwiseConv2D, SeparableConv2D and Dense; separate, fused and absent activations."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 2), name='images')
    features = layers.Conv2D(4, 3, padding='same', use_bias=False, name='stem')(inputs)
    features = layers.ReLU(name='relu')(layers.BatchNormalization(name='norm')(features))
    features = layers.DepthwiseConv2D(3, depth_multiplier=2, activation='tanh', name='depthwise')(features)
    features = layers.SeparableConv2D(6, 3, name='separable')(features)
    features = layers.Conv2D(5, 1, activation='relu', name='pointwise')(features)
    features = layers.Activation('elu', name='elu')(features)
    features = layers.Dense(7, activation='sigmoid', name='hidden')(layers.Flatten(name='flatten')(features))
    return keras.Model(inputs, layers.Dense(3, name='logits')(features), name='net')


@pytest.fixture
def net() -> keras.Model:
    return make_net()


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(8, 6, 6, 2)).astype(np.float32)
