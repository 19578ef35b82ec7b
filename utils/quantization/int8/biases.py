"""Biases as they are stored in an int8 file: integer multiples of `input scale * weight scale`, in 32 bits.

These steps are small in comparison with the sums, but unrounded biases change the rounding of about one output in a
thousand. With rounded ones, the outputs of the simulation equal those of the XNNPACK kernels.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.graph.channel_select import ChannelSelect
from pocketflow.utils.quantization.int8.inspect import is_wrapped, unwrapped
from pocketflow.utils.quantization.int8.placement import is_norm_of_channels, keeps_scale, norm_behind

FEATURE_MAP_RANK = 4
"""Rank of the tensors whose batch norms are depthwise convolutions in the file."""


def input_scale(layer: keras.layers.Layer) -> tf.Tensor | None:
    """Scale of a layer's input in a functional model; `None` if it is not rounded or the layer has several calls."""
    node = _only_node(layer)
    while node is not None and len(node.keras_inputs) == 1:
        tensor = node.keras_inputs[0]
        writer = tensor.node.layer
        if is_wrapped(writer) and writer.simulation.output:
            return writer.output_scale()
        if not keeps_scale(unwrapped(writer), tensor):
            return None
        node = _only_node(writer)
    return None


def norm_input_scale(layer: keras.layers.Layer) -> tf.Tensor | None:
    """Scale of the input of a wrapped batch norm that is an operation of its own in the file; `None` for other layers.

    A channel select that only the batch norm reads is part of this operation.
    """
    node, norm = _only_node(layer), unwrapped(layer)
    if node is None or not isinstance(norm, keras.layers.BatchNormalization) or not is_norm_of_channels(norm):
        return None
    if len(node.outputs.shape) != FEATURE_MAP_RANK:
        return None
    writer = node.keras_inputs[0].node.layer
    return input_scale(writer if isinstance(writer, ChannelSelect) else layer)


def _only_node(layer: keras.layers.Layer) -> Any:
    """The call of a layer; `None` if it is called on different tensors, or not part of a model yet."""
    nodes = {tuple(id(tensor) for tensor in node.keras_inputs): node for node in layer.inbound_nodes}
    return next(iter(nodes.values())) if len(nodes) == 1 else None


def as_stored(bias: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    """Rounds a bias to multiples of `step`; both are `[channels]`."""
    return tf.where(step > 0, tf.round(tf.math.divide_no_nan(bias, step)) * step, bias)


def folding_norm(layer: keras.layers.Layer) -> keras.layers.BatchNormalization | None:
    """The batch norm that is folded into a wrapped layer in the file."""
    readers = {id(node.layer): node.layer for node in layer.outbound_nodes}
    return norm_behind(unwrapped(layer), unwrapped(*readers.values())) if len(readers) == 1 else None


def shift_for(norm: keras.layers.BatchNormalization, bias: tf.Tensor | float, step: tf.Tensor) -> tf.Tensor:
    """The offset of a batch norm's inputs for which it adds the bias that is stored in the file.

    Args:
      norm: in inference.
      bias: of the layer before.
      step: `input scale * weight scale` of that layer, `[channels]`.
    """
    scale = tf.math.rsqrt(norm.moving_variance + norm.epsilon) * (norm.gamma if norm.scale else 1.0)
    offset = (bias - norm.moving_mean) * scale + (norm.beta if norm.center else 0.0)
    return tf.math.divide_no_nan(as_stored(offset, step * tf.abs(scale)) - offset, scale)
