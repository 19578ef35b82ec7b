"""Which layers and models simulate quantization; loads no TensorFlow Model Optimization."""

from __future__ import annotations

import tf_keras as keras

MARK = 'simulates_quantization'
"""The class attribute that tells wrapped layers from others."""


def is_wrapped(layer: keras.layers.Layer) -> bool:
    """Whether the layer simulates the quantization of the layer within it."""
    return getattr(type(layer), MARK, False)


def unwrapped(layer: keras.layers.Layer) -> keras.layers.Layer:
    """The layer within a layer that simulates its quantization; other layers as they are."""
    return layer.layer if is_wrapped(layer) else layer


def is_quantization_aware(model: keras.Model) -> bool:
    """Whether layers of the model simulate quantization."""
    return any(is_wrapped(layer) for layer in model.layers)
