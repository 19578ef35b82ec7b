"""The prunable layers of a model, and the reasons why others are not pruned."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from pocketflow.learners.layer_name_filter import skipped_by_name
from pocketflow.utils.quantization.encoding import KERNEL_NAMES

_k = keras.layers
PRUNABLE = (
    _k.Dense,
    _k.Conv1D,
    _k.Conv2D,
    _k.Conv3D,
    _k.DepthwiseConv1D,
    _k.DepthwiseConv2D,
    _k.SeparableConv1D,
    _k.SeparableConv2D,
    _k.Conv1DTranspose,
    _k.Conv2DTranspose,
    _k.Conv3DTranspose,
)
SKIP_FLAG = 'ws_skip_names'


def kernels_of(layer: keras.layers.Layer) -> list[tf.Variable]:
    """The prunable kernels of a layer: two for separable convolutions, none for layers that are not prunable."""
    if not isinstance(layer, PRUNABLE):
        return []
    found = (getattr(layer, name, None) for name in KERNEL_NAMES)
    return [kernel for kernel in found if kernel is not None]


def skip_reasons(model: keras.Model, words: str | None) -> dict[str, str]:
    """Layer with kernels that is not pruned -> the reason; prunable layers that are not named are pruned.

    Args:
      model: a functional model.
      words: layers whose names contain one of these words, separated by commas, are not pruned.
    """
    named = skipped_by_name(SKIP_FLAG, words, prunable_layers(model, {}))
    reasons = {layer.name: named.get(layer.name) or _reason(layer) for layer in model.layers}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _reason(layer: keras.layers.Layer) -> str | None:
    if not any(len(weight.shape) > 1 for weight in layer.weights):
        return None  # batch norm and the like
    if not isinstance(layer, PRUNABLE):
        return f'{type(layer).__name__} is not a prunable type'
    return None if layer.trainable else 'it is not trainable'


def prunable_layers(model: keras.Model, skipped: dict[str, str]) -> dict[str, list[tf.Variable]]:
    """Pruned layer -> its kernels, in the model's order."""
    found = {layer.name: kernels_of(layer) for layer in model.layers if layer.name not in skipped}
    return {name: kernels for name, kernels in found.items() if kernels}
