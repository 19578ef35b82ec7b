"""A new last layer for a network that is to tell other classes apart, as in transfer learning."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import UsageError, first_line
from pocketflow.utils.graph.functional import Call, nodes_in_order, rebuild

SIZES = {keras.layers.Dense: 'units', keras.layers.Conv2D: 'filters'}
"""Layers that may be replaced -> the argument with the number of outputs; convolutions only if they are 1 x 1."""


@dataclasses.dataclass(frozen=True)
class NewHead:
    """What was replaced.

    Attributes:
      layer: the name of the last layer with weights, which is new.
      before, after: number of its outputs.
    """

    layer: str
    before: int
    after: int


def last_layer(model: keras.Model) -> keras.layers.Layer:
    """The layer that computes the outputs: the last one with weights, a dense layer or a 1 x 1 convolution.

    Layers without weights may follow it, such as pooling, reshaping or an activation.

    Args:
      model: a flat functional model with one output.

    Raises:
      UsageError: the last layer with weights is another one, or there are several that meet at the end.
    """
    makers = {id(tensor): node for node in nodes_in_order(model) for tensor in tf.nest.flatten(node.outputs)}
    if len(model.outputs) != 1:
        raise UsageError(f'it has {len(model.outputs)} outputs; the last layer of one is looked for')
    node = makers[id(model.outputs[0])]
    while not node.layer.weights:
        sources = tf.nest.flatten(node.keras_inputs)
        if node.is_input or len(sources) != 1:
            raise UsageError(f'layer {node.layer.name!r} at its end has {len(sources)} inputs, and no weights')
        node = makers[id(sources[0])]
    layer = node.layer
    is_pointwise = not isinstance(layer, keras.layers.Conv2D) or (layer.kernel_size, layer.groups) == ((1, 1), 1)
    if type(layer) not in SIZES or not is_pointwise:
        raise UsageError(
            f'its last layer with weights, {layer.name!r}, is a {type(layer).__name__}; expected is a Dense layer or a '
            '1 x 1 convolution'
        )
    return layer


def with_new_head(model: keras.Model, num_outputs: int, seed: int = 0) -> tuple[keras.Model, NewHead]:
    """A copy of a network with another number of outputs; its last layer with weights is new, all others are copied.

    Args:
      model: a flat functional model with one output `[N, values]`.
      num_outputs: the number of values.
      seed: of the initial weights (Glorot and Bengio, AISTATS 2010: uniform; biases are 0).

    Raises:
      UsageError: there is no layer that could be replaced, or what follows it does not take other numbers.
    """
    layer = last_layer(model)
    before = int(layer.get_config()[SIZES[type(layer)]])
    head = NewHead(layer.name, before, num_outputs)
    try:
        changed = rebuild(model, functools.partial(_edit, head, seed))
    except Exception as error:  # Keras raises exceptions of many types for shapes that do not fit
        raise UsageError(f'no new head fits after layer {layer.name!r} ({first_line(error)})') from error
    if changed.output_shape != (None, num_outputs):
        raise UsageError(f'no new head fits: with {num_outputs} outputs it gives {changed.output_shape}')
    return changed, head


def _edit(head: NewHead, seed: int, layer: keras.layers.Layer, copy: keras.layers.Layer) -> Call:
    """Edit for `rebuild`."""
    if layer.name == head.layer:
        initializer = keras.initializers.GlorotUniform(seed)
        config: dict[str, Any] = layer.get_config()
        config |= {SIZES[type(layer)]: head.after, 'kernel_initializer': initializer, 'bias_initializer': 'zeros'}
        new: Call = type(layer).from_config(config | {'trainable': True})
        return new
    if isinstance(layer, keras.layers.Reshape):
        copy.target_shape = tuple(head.after if size == head.before else size for size in layer.target_shape)
    return copy
