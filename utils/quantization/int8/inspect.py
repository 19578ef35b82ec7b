"""What can be asked about any model, without loading TensorFlow Model Optimization."""

from __future__ import annotations

import importlib
from typing import Any

import tf_keras as keras

WRAPPER = b'QuantizedLayer'
"""The class name by which a saved model tells that it has wrapped layers."""
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


def plain_if_quantization_aware(model: Any) -> Any:
    """The ordinary model behind a quantization-aware one, as `wrapping.plain` makes it; all else as it is."""
    if not isinstance(model, keras.Model) or not is_quantization_aware(model):
        return model
    return importlib.import_module('pocketflow.utils.quantization.int8.wrapping').plain(model)


def register_classes_in(architecture: bytes) -> None:
    """Makes Keras know the layers of a saved model, if it is quantization-aware.

    Args:
      architecture: its configuration, as JSON.
    """
    if WRAPPER in architecture:
        importlib.import_module('pocketflow.utils.quantization.int8.wrappers')
