"""Tiny networks with untrained weights and made-up batch-norm statistics, and data for them."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

IMAGE_SHAPE = (8, 8, 3)


def randomise_batch_norms(model: keras.Model, seed: int = 0) -> keras.Model:
    """Gives every batch norm statistics unlike the initial ones, which would be folded to nothing."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            size = layer.gamma.shape[0]
            layer.set_weights(
                [
                    rng.uniform(0.5, 1.5, size),
                    rng.normal(0, 0.3, size),
                    rng.normal(0, 0.3, size),
                    rng.uniform(0.5, 2, size),
                ]
            )
    return model


def build_residual_net(num_filters: int = 16) -> keras.Model:
    """Two convolutions in a residual block, a batch norm behind the sum, pooling, ten logits."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input(IMAGE_SHAPE)
    stem = keras.layers.Conv2D(num_filters, 3, padding='same', use_bias=False)(inputs)
    branch = keras.layers.ReLU()(keras.layers.BatchNormalization()(stem))
    branch = keras.layers.Conv2D(num_filters, 3, padding='same', use_bias=False)(branch)
    total = keras.layers.BatchNormalization()(keras.layers.Add()([stem, branch]))
    features = keras.layers.Flatten()(keras.layers.AveragePooling2D(4)(keras.layers.ReLU()(total)))
    return randomise_batch_norms(keras.Model(inputs, keras.layers.Dense(10)(features), name='residual'))


@pytest.fixture(scope='session')
def net() -> keras.Model:
    return build_residual_net()


@pytest.fixture(scope='session')
def images() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(23, *IMAGE_SHAPE)).astype(np.float32)


@pytest.fixture(scope='session')
def logits(net: keras.Model, images: np.ndarray) -> np.ndarray:
    return net(images, training=False).numpy()
