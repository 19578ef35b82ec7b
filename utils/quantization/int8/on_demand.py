"""Imports TensorFlow Model Optimization, which takes a second, only for quantization-aware models."""

from __future__ import annotations

import importlib
from typing import Any

import tf_keras as keras

from pocketflow.utils.quantization.int8.inspect import is_quantization_aware

WRAPPER = b'QuantizedLayer'
"""The class name that marks wrapped layers in a saved model."""


def plain_if_quantization_aware(model: Any) -> Any:
    """The plain model of a quantization-aware one (`wrapping.strip_quantization`); all other objects unchanged."""
    if not isinstance(model, keras.Model) or not is_quantization_aware(model):
        return model
    from pocketflow.utils.quantization.int8.wrapping import strip_quantization

    return strip_quantization(model)


def register_classes_in(architecture: bytes) -> None:
    """Registers the layers of quantization-aware models with Keras, if a saved model has such layers.

    Args:
      architecture: the model's configuration, as JSON.
    """
    if WRAPPER in architecture:
        importlib.import_module('pocketflow.utils.quantization.int8.wrappers')
