"""Auxiliary heads: small classifiers, or predictors of any other outputs, on the output of a layer.

Zhuang et al. 2018, https://arxiv.org/abs/1810.11809, section 3.2: batch normalisation, ReLU, mean over all positions,
and a dense layer for each output of the network. The loss of the network is also that of its heads.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph import nodes_in_order
from pocketflow.utils.tasks.nests import Nest

layers = keras.layers

MAX_VALUES = 10_000
"""Most values per sample of an output that a head makes from the mean over all positions."""
_MEANS = {3: layers.GlobalAveragePooling1D, 4: layers.GlobalAveragePooling2D, 5: layers.GlobalAveragePooling3D}


def with_head(model: keras.Model, layer: str, seed: int) -> keras.Model:
    """The model with two outputs: that of the model, and that of a head on a layer, of the same structure.

    Args:
      model: a functional model, whose layers are used; its other weights are those of the result.
      layer: name of a layer with one call.
      seed: draws the initial weights of the head.
    """
    features = _output_of(model, layer)
    values = layers.BatchNormalization(name=f'{layer}_head_bn')(features)
    values = layers.ReLU(name=f'{layer}_head_relu')(values)
    if len(values.shape) in _MEANS:
        values = _MEANS[len(values.shape)](name=f'{layer}_head_mean')(values)
    outputs = tf.nest.flatten(model.output)
    made = [_predicted(values, output, f'{layer}_head_{index}', seed + index) for index, output in enumerate(outputs)]
    return keras.Model(model.input, [model.output, tf.nest.pack_sequence_as(model.output, made)], name=model.name)


def body_of(headed: keras.Model) -> keras.Model:
    """The model without the head of `with_head`; its layers are shared."""
    body, _ = headed.output
    return keras.Model(headed.input, body, name=headed.name)


def head_of(headed: keras.Model) -> keras.Model:
    """The part of the model of `with_head` that makes the output of the head; its layers are shared."""
    _, head = headed.output
    return keras.Model(headed.input, head, name=f'{headed.name}_head')


def check_outputs(model: keras.Model, remedy: str) -> None:
    """Raises a `UsageError` if a head cannot make an output of the model; `remedy` is advice for the message."""
    for name, output in zip(model.output_names, tf.nest.flatten(model.output), strict=True):
        shape = tuple(output.shape[1:])
        if None in shape or math.prod(shape) > MAX_VALUES:
            raise UsageError(
                f'auxiliary heads predict outputs of at most {MAX_VALUES:,} values per sample from the mean over all '
                f'positions, but the output {name} of model {model.name!r} has the shape {shape}; {remedy}'
            )


def _output_of(model: keras.Model, layer: str) -> Any:
    (node,) = (node for node in nodes_in_order(model) if node.layer.name == layer)
    return node.outputs


def _predicted(values: Any, output: Any, name: str, seed: int) -> Nest:
    """A prediction of one output of the model from features `[batch, channels]`."""
    shape = tuple(output.shape[1:])
    initial = keras.initializers.GlorotUniform(seed)
    predicted = layers.Dense(math.prod(shape), kernel_initializer=initial, name=name)(values)
    if len(shape) != 1:
        predicted = layers.Reshape(shape, name=f'{name}_shape')(predicted)
    activation = _final_activation(output)
    return predicted if activation is None else layers.Activation(activation, name=f'{name}_activation')(predicted)


def _final_activation(output: Any) -> Any:
    """The activation of the layer that makes an output, such as a softmax that was left on; None if it has none."""
    layer = output._keras_history.layer
    if isinstance(layer, layers.Softmax):
        return keras.activations.softmax
    activation = getattr(layer, 'activation', None)
    return None if activation is keras.activations.linear else activation
