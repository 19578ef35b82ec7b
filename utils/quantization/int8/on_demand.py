"""Loads TensorFlow Model Optimization, which takes a second, when a quantization-aware model is at hand."""

from __future__ import annotations

import importlib
from typing import Any

import tf_keras as keras

from pocketflow.utils.quantization.int8.inspect import is_quantization_aware

WRAPPER = b'QuantizedLayer'
"""The class name by which a saved model tells that it has wrapped layers."""


def plain_if_quantization_aware(model: Any) -> Any:
    """The ordinary model behind a quantization-aware one, as `wrapping.plain` makes it; all else as it is."""
    if not isinstance(model, keras.Model) or not is_quantization_aware(model):
        return model
    from pocketflow.utils.quantization.int8.wrapping import strip_quantization

    return strip_quantization(model)


def register_classes_in(architecture: bytes) -> None:
    """Makes Keras know the layers of a saved model, if it is quantization-aware.

    Args:
      architecture: its configuration, as JSON.
    """
    if WRAPPER in architecture:
        importlib.import_module('pocketflow.utils.quantization.int8.wrappers')
