"""Biases as an int8 file stores them: whole multiples of `input scale * weight scale`, in 32 bits.

The multiples are fine beside the sums, but a bias that lies between two of them turns the rounding of about one output
in a thousand. With them, the simulation's outputs are those of the XNNPACK kernels.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.quantization.int8.inspect import is_wrapped, unwrapped
from pocketflow.utils.quantization.int8.placement import keeps_scale, norm_behind


def input_scale(layer: keras.layers.Layer) -> tf.Tensor | None:
    """The scale of what a layer of a functional model reads; `None` if that is not rounded, or called several times."""
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


def _only_node(layer: keras.layers.Layer) -> Any:
    """The call of a layer; `None` if it is called on different tensors, or not part of a model yet."""
    nodes = {tuple(id(tensor) for tensor in node.keras_inputs): node for node in layer.inbound_nodes}
    return next(iter(nodes.values())) if len(nodes) == 1 else None


def as_stored(bias: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    """The multiples of `step` that are nearest to a bias; both are `[channels]`."""
    return tf.where(step > 0, tf.round(tf.math.divide_no_nan(bias, step)) * step, bias)


def folding_norm(layer: keras.layers.Layer) -> keras.layers.BatchNormalization | None:
    """The batch norm that the file computes together with a wrapped layer."""
    readers = {id(node.layer): node.layer for node in layer.outbound_nodes}
    return norm_behind(unwrapped(layer), unwrapped(*readers.values())) if len(readers) == 1 else None


def shift_for(norm: keras.layers.BatchNormalization, bias: tf.Tensor | float, step: tf.Tensor) -> tf.Tensor:
    """What to add to the inputs of a batch norm so that it adds the bias that the file stores.

    Args:
      norm: in inference.
      bias: of the layer before.
      step: `input scale * weight scale` of that layer, `[channels]`.
    """
    scale = tf.math.rsqrt(norm.moving_variance + norm.epsilon) * (norm.gamma if norm.scale else 1.0)
    offset = (bias - norm.moving_mean) * scale + (norm.beta if norm.center else 0.0)
    return tf.math.divide_no_nan(as_stored(offset, step * tf.abs(scale)) - offset, scale)
