"""Detection of quantization-aware layers and models, without importing TensorFlow Model Optimization."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

MARK = 'simulates_quantization'
"""The class attribute that marks wrapped layers."""


def is_wrapped(layer: keras.layers.Layer) -> bool:
    """Whether the layer is a wrapper that simulates the quantization of its inner layer."""
    return getattr(type(layer), MARK, False)


def unwrapped(layer: keras.layers.Layer) -> keras.layers.Layer:
    """The inner layer of a quantization wrapper; other layers unchanged."""
    return layer.layer if is_wrapped(layer) else layer


def is_quantization_aware(model: keras.Model) -> bool:
    """Whether any layer of the model is a quantization wrapper."""
    return any(is_wrapped(layer) for layer in model.layers)


def step_variables(model: keras.Model) -> list[tf.Variable]:
    """The variables that take the number of completed training steps, of wrappers and of the layers within them."""
    layers = {id(layer): layer for outer in model.layers for layer in (outer, unwrapped(outer))}
    return [layer.optimizer_step for layer in layers.values() if hasattr(layer, 'optimizer_step')]
