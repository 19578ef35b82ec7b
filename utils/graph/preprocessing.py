"""Preprocessing within a network: layers that scale and shift each channel, and random augmentations.

A scale and a shift in front of a convolution change its kernel and bias: `K (s x + b) + c = (s K) x + (K b + c)`. This
is exact unless the convolution pads its input, since the padded zeros are not shifted. A scale alone maps zero to zero,
and is exact with any padding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.graph.functional import Call, nodes_in_order, rebuild

_k = keras.layers
AUGMENTATIONS = (
    _k.RandomBrightness,
    _k.RandomContrast,
    _k.RandomFlip,
    _k.RandomHeight,
    _k.RandomRotation,
    _k.RandomTranslation,
    _k.RandomWidth,
    _k.RandomZoom,
)
"""Layers that are the identity in inference; `RandomCrop` is not, since it crops the middle then."""
FOLDING = (_k.Conv2D, _k.DepthwiseConv2D, _k.Dense)
"""Layers into which a scale and a shift are folded, without subclasses."""


class ChannelMap(NamedTuple):
    """`scale * x + offset`, of float64 numbers, or one `[channels]` for each channel."""

    scale: np.ndarray
    offset: np.ndarray

    def for_channels(self, num_channels: int) -> tuple[np.ndarray, np.ndarray]:
        """(scale, offset), one of each `[num_channels]` for each channel."""
        return np.broadcast_to(self.scale, num_channels), np.broadcast_to(self.offset, num_channels)


def channel_map(layer: keras.layers.Layer) -> ChannelMap | None:
    """What a Rescaling or Normalization layer computes; None for other layers, and for maps that vary by place."""
    if type(layer) is _k.Rescaling:
        scale, offset = np.asarray(layer.scale, np.float64), np.asarray(layer.offset, np.float64)
        scale, offset = np.broadcast_arrays(scale, offset)
    elif type(layer) is _k.Normalization and not layer.invert:
        mean, variance = np.asarray(layer.mean, np.float64), np.asarray(layer.variance, np.float64)
        scale = 1 / np.maximum(np.sqrt(variance), keras.backend.epsilon())
        scale, offset = np.broadcast_arrays(scale, -mean * scale)
    else:
        return None
    if scale.size not in (1, scale.shape[-1] if scale.ndim else 1):
        return None
    return ChannelMap(scale.reshape(-1), offset.reshape(-1))


def without_augmentation(model: keras.Model) -> keras.Model:
    """A copy for inference, without layers that only change training images; `model` itself if there are none."""
    if not any(isinstance(layer, AUGMENTATIONS) for layer in model.layers):
        return model
    return rebuild(model, lambda layer, copy: _identity if isinstance(layer, AUGMENTATIONS) else copy)


def fold_channel_maps(model: keras.Model) -> keras.Model:
    """A copy in which the layers that read Rescaling and Normalization layers do their work, where that is exact.

    Args:
      model: a functional model; it is not modified.

    Returns:
      A model with the same outputs up to rounding; `model` itself if nothing can be folded.
    """
    folded = True
    while folded:  # of several maps in a row, the last is folded first
        model, folded = _fold_last(model)
    return model


def channel_maps_as_convolutions(model: keras.Model) -> keras.Model:
    """A copy in which the Rescaling and Normalization layers on feature maps are depthwise convolutions of 1x1.

    These are one operation in int8 arithmetic, which rounds once. Without such layers, the result is `model` itself.
    """
    if not any(channel_map(layer) for layer in model.layers):
        return model
    pending: list[Callable[[], None]] = []

    def edit(layer: keras.layers.Layer, copy: keras.layers.Layer) -> Call:
        found = channel_map(layer)
        if found is None or len(layer.inbound_nodes) > 1 or len(layer.output.shape) != 4:
            return copy
        convolution, assign = _as_convolution(layer, found)
        pending.append(assign)
        return convolution

    result = rebuild(model, edit)
    for assign in pending:
        assign()
    return result


def _as_convolution(layer: keras.layers.Layer, found: ChannelMap) -> tuple[keras.layers.Layer, Callable[[], None]]:
    """A depthwise convolution of 1x1 that is not trained, and a function that sets its weights after its call."""
    convolution = _k.DepthwiseConv2D(1, name=layer.name, trainable=False)
    scale, offset = found.for_channels(layer.output.shape[-1])
    return convolution, lambda: convolution.set_weights([scale[None, None, :, None], offset])


def _fold_last(model: keras.Model) -> tuple[keras.Model, bool]:
    nodes = nodes_in_order(model)
    calls = Counter(node.layer.name for node in nodes)
    for node in reversed(nodes):
        found = channel_map(node.layer)
        if found is None or calls[node.layer.name] > 1 or any(node.outputs is tensor for tensor in model.outputs):
            continue
        readers = [reader for reader in nodes if not reader.is_input and _reads(reader, node.outputs)]
        if len(readers) == 1 and calls[readers[0].layer.name] == 1 and _is_exact(readers[0].layer, found):
            return _folded(model, node.layer, readers[0].layer, found), True
    return model, False


def _reads(node: Any, tensor: tf.Tensor) -> bool:
    return any(tensor is given for given in tf.nest.flatten(node.keras_inputs))


def _is_exact(reader: keras.layers.Layer, found: ChannelMap) -> bool:
    if type(reader) not in FOLDING or getattr(reader, 'groups', 1) != 1:
        return False
    if getattr(reader, 'data_format', 'channels_last') != 'channels_last':
        return False
    return getattr(reader, 'padding', 'valid') == 'valid' or not found.offset.any()


def _folded(
    model: keras.Model, layer: keras.layers.Layer, reader: keras.layers.Layer, found: ChannelMap
) -> keras.Model:
    changed = type(reader).from_config({**reader.get_config(), 'use_bias': True})

    def edit(one: keras.layers.Layer, copy: keras.layers.Layer) -> Call:
        return {layer.name: _identity, reader.name: changed}.get(one.name, copy)

    result = rebuild(model, edit)
    kernel = np.asarray(reader.get_weights()[0], np.float64)
    bias = reader.get_weights()[1] if reader.use_bias else 0.0
    axis = 0 if isinstance(reader, _k.Dense) else 2  # of the inputs
    shape = [-1 if number == axis else 1 for number in range(kernel.ndim)]
    shifted = kernel * found.offset.reshape(shape)
    if isinstance(reader, _k.DepthwiseConv2D):
        shift = shifted.sum((0, 1)).reshape(-1)
    else:
        shift = shifted.sum(tuple(range(kernel.ndim - 1)))
    changed.set_weights([kernel * found.scale.reshape(shape), bias + shift])
    return result


def _identity(inputs: object, **_: object) -> object:
    return inputs
