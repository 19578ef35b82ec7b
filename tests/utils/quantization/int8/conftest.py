"""Small networks of the structures that int8 files must cope with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.channels import ChannelSelect

layers = keras.layers
SHAPE = (8, 8, 4)


def norm_relu(features, name: str):
    return layers.ReLU(name=f'{name}_relu')(layers.BatchNormalization(name=f'{name}_bn')(features))


def conv(features, filters: int, name: str):
    return layers.Conv2D(filters, 3, padding='same', use_bias=False, name=name)(features)


def lenet(inputs):
    features = layers.Conv2D(6, 3, activation='relu', name='conv')(inputs)
    features = layers.Flatten(name='flat')(layers.MaxPooling2D(name='maxpool')(features))
    return layers.Dropout(0.1, name='drop')(layers.Dense(8, activation='relu', name='hidden')(features))


def preactivated(inputs):
    """Two batch norms behind additions, and a shortcut with a channel select."""
    stem = conv(inputs, 6, 'stem')
    branch = conv(norm_relu(stem, 'first'), 6, 'conv1')
    total = layers.Add(name='add1')([stem, branch])
    branch = conv(norm_relu(total, 'second'), 6, 'conv2')
    total = layers.Add(name='add2')([total, branch])
    return layers.GlobalAveragePooling2D(name='pool')(norm_relu(total, 'final'))


def selecting(inputs):
    """The same select before a batch norm twice, and one before a convolution."""
    stem = conv(inputs, 6, 'stem')
    one = norm_relu(ChannelSelect((1, 3, 4), 6, name='select1')(stem), 'one')
    two = norm_relu(ChannelSelect((1, 3, 4), 6, name='select2')(stem), 'two')
    three = ChannelSelect((0, 5, 2), 6, name='select3')(stem)
    total = layers.Add(name='add')([conv(one, 5, 'conv1'), conv(two, 5, 'conv2'), conv(three, 5, 'conv3')])
    return layers.GlobalAveragePooling2D(name='pool')(total)


def mobile(inputs):
    features = norm_relu(conv(inputs, 6, 'stem'), 'stem')
    features = layers.DepthwiseConv2D(3, padding='same', use_bias=False, name='depthwise')(features)
    features = layers.BatchNormalization(name='depthwise_bn')(features)
    features = layers.ReLU(6.0, name='depthwise_relu6')(features)
    features = layers.SeparableConv2D(7, 3, activation='tanh', name='separable')(features)
    return layers.GlobalAveragePooling2D(name='pool')(features)


def joining(inputs):
    """Concatenations of what only they read, of what others read too, and of another concatenation."""
    stem = norm_relu(conv(inputs, 6, 'stem'), 'stem')
    left = norm_relu(conv(stem, 4, 'left'), 'left')
    joined = layers.Concatenate(name='joined')([stem, left])
    right = layers.Concatenate(name='joined_again')([joined, layers.MaxPooling2D(1, name='maxpool')(joined)])
    return layers.GlobalAveragePooling2D(name='pool')(norm_relu(right, 'final'))


def normed_dense(inputs):
    features = layers.Dense(8, use_bias=False, name='hidden')(layers.Flatten(name='flat')(inputs))
    return layers.ReLU(name='hidden_relu')(layers.BatchNormalization(name='hidden_bn')(features))


NETS = {function.__name__: function for function in (lenet, preactivated, selecting, mobile, joining, normed_dense)}


def randomized(model: keras.Model, seed: int = 0) -> keras.Model:
    """The model as if trained: batch norms of all signs and scales."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            size = layer.gamma.shape
            layer.set_weights(
                [
                    rng.choice([-1, 1], size) * rng.uniform(0.3, 2, size),
                    rng.normal(size=size),
                    rng.normal(size=size) * 0.3,
                    rng.uniform(0.2, 2, size),
                ]
            )
    return model


@pytest.fixture(scope='session')
def make_net() -> Callable[[str], keras.Model]:
    def make(name: str) -> keras.Model:
        keras.utils.set_random_seed(1)
        inputs = layers.Input(SHAPE, name='images')
        return randomized(keras.Model(inputs, layers.Dense(5, name='logits')(NETS[name](inputs)), name=name))

    return make


@pytest.fixture(scope='session')
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(96, *SHAPE)).astype(np.float32)
