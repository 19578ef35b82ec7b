"""The head of a classifier: a softmax or sigmoid that turns logits into probabilities.

Cross-entropy and distillation take logits. With probabilities, the softmax would be applied twice: gradients and
the accuracy of the network would be smaller, without any error message. So the head is taken off for training, and put
back on in the files of the trained network.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph.functional import Call, nodes_in_order, rebuild
from pocketflow.utils.graph.single_output import two_logits_of, with_single_logit

FUNCTIONS = {keras.activations.softmax: 'softmax', keras.activations.sigmoid: 'sigmoid'}
OPERATIONS = {'nn.softmax': 'softmax', 'math.softmax': 'softmax', 'math.sigmoid': 'sigmoid', 'nn.sigmoid': 'sigmoid'}
"""Names of TensorFlow functions in operator layers -> the head."""
RESHAPING = (keras.layers.Reshape, keras.layers.Flatten, keras.layers.Permute, keras.layers.Dropout)
RESHAPING_OPERATIONS = ('reshape', 'squeeze', 'compat.v1.squeeze', 'cast', 'identity')
"""Layers and operations that may follow a head, because they only rearrange or cast its values."""
WITH_ACTIVATION = (
    keras.layers.Dense,
    keras.layers.EinsumDense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)
"""Layers whose last operation is their activation."""


LEAST = 1e-12
"""Least probability whose logarithm is taken; files of few bits round small ones to 0."""


@dataclasses.dataclass(frozen=True)
class Head:
    """A head that was removed.

    Attributes:
      function: `softmax` or `sigmoid`; `linear` for a single output that is a logit.
      layer: the name of the layer that applied it.
      inner: a head whose outputs were the inputs of this one, and which was removed, too.
      is_single: whether the network has a single output, and was given two logits.
    """

    function: str
    layer: str
    inner: Head | None = None
    is_single: bool = False

    def logits_of(self, outputs: np.ndarray) -> np.ndarray:
        """The logits `[..., classes]` of the outputs of a network with the head, for the answer and the metrics.

        Those of a softmax are determined up to a constant; with an inner head, they are the inputs of the outer one.

        >>> Head('sigmoid', 'last').logits_of(np.array([0.5, 0.75])).round(4)
        array([0.    , 1.0986], dtype=float32)
        """
        logits = np.asarray(outputs, np.float64)
        if self.function != 'linear':
            probabilities = np.maximum(logits, LEAST)
            logits = np.log(probabilities)
            if self.function == 'sigmoid':
                logits -= np.log(np.maximum(1 - probabilities, LEAST))
        return (two_logits_of(logits) if self.is_single else logits).astype(np.float32)


def take_head_off(model: keras.Model) -> tuple[keras.Model, Head | None]:
    """Removes the softmax or sigmoid at the output of a model.

    The head may be a layer, the activation of a layer, or an operator layer (`tf.nn.softmax(x)`), and may be followed
    by layers that only reshape. A softmax that is not over all values of a sample is not over classes, and is kept.

    Args:
      model: a flat functional model; it is not modified.

    Returns:
      (a copy with the same weights, the head), or (`model` itself, None) if there is none, or several outputs.

    Raises:
      UsageError: other layers use the probabilities, too.
    """
    node = _head_node(model)
    function = None if node is None else _function(node.layer)
    if node is None or function is None:
        return model, None
    layer = node.layer
    _refuse_other_uses(model, node)
    without, inner = take_head_off(rebuild(model, functools.partial(_without_head, layer.name)))
    return without, Head(function, layer.name, inner)


def head_functions(model: keras.Model) -> list[str | None]:
    """The head at the end of each output of a flat functional model: `softmax`, `sigmoid`, or None."""
    nodes = [_head_node_of(model, tensor) for tensor in model.outputs]
    return [None if node is None else _function(node.layer) for node in nodes]


def put_head_on(model: keras.Model, head: Head | None) -> keras.Model:
    """The inverse of `take_head_off`, for a trained or compressed model, too.

    Args:
      model: a model with one output, the logits `[N, values]`; it is not modified.
      head: the result of `take_head_off`.

    Returns:
      A model that shares the layers of `model` and ends in the head as a separate layer, or `model` itself without one.
    """
    if head is None:
        return model
    logits = put_head_on(with_single_logit(model) if head.is_single else model, head.inner)
    if head.function == 'linear':
        return logits
    last = keras.layers.Activation(head.function, name=_free_name(logits, head))
    return keras.Model(logits.input, last(logits.output), name=model.name)


def _free_name(model: keras.Model, head: Head) -> str:
    """The name of the head's layer; one that is derived from it if the layer is still there without its activation."""
    names = {layer.name for layer in model.layers}
    name = head.layer if head.layer not in names else f'{head.layer}_{head.function}'
    while name in names:
        name += '_'
    return name


def _without_head(name: str, layer: keras.layers.Layer, copy: keras.layers.Layer) -> Call:
    """Edit for `rebuild` that removes the head of the layer `name`."""
    replacement: Call = copy
    if layer.name == name and isinstance(layer, WITH_ACTIVATION):
        copy.activation = keras.activations.linear
    elif layer.name == name:
        replacement = _first_argument
    return replacement


def _first_argument(inputs: Any, *_: Any, **__: Any) -> Any:
    return inputs


def _head_node(model: keras.Model) -> Any | None:
    """The Keras node of the call that applies the head, or None."""
    return _head_node_of(model, model.outputs[0]) if len(model.outputs) == 1 else None


def _head_node_of(model: keras.Model, tensor: Any) -> Any | None:
    """As `_head_node`, for one of several outputs."""
    makers = {id(tensor): node for node in nodes_in_order(model) for tensor in tf.nest.flatten(node.outputs)}
    while True:
        node = makers[id(tensor)]
        if node.is_input:
            return None
        function = _function(node.layer)
        if function is not None:
            return node if function == 'sigmoid' or _spans_sample(node) else None
        if not _only_reshapes(node.layer):
            return None
        tensor = tf.nest.flatten(node.keras_inputs)[0]


def _function(layer: keras.layers.Layer) -> str | None:
    """The name of the head that a layer applies as its last operation, or None."""
    if isinstance(layer, keras.layers.Softmax):
        return 'softmax'
    if isinstance(layer, (keras.layers.Activation, *WITH_ACTIVATION)):
        return FUNCTIONS.get(layer.activation)
    return OPERATIONS.get(_operation(layer))


def _operation(layer: keras.layers.Layer) -> str:
    """The name of the TensorFlow function of an operator layer; empty for other layers."""
    return getattr(layer, 'symbol', None) or ''


def _only_reshapes(layer: keras.layers.Layer) -> bool:
    is_linear = isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.linear
    return is_linear or isinstance(layer, RESHAPING) or _operation(layer) in RESHAPING_OPERATIONS


def _spans_sample(node: Any) -> bool:
    """Whether a softmax is over all values of a sample."""
    shape, axis = tf.nest.flatten(node.outputs)[0].shape, _axis(node)
    if not isinstance(axis, int) or None in shape[1:]:
        return False
    return bool(shape[axis] == math.prod(shape[1:]))


def _axis(node: Any) -> Any:
    if isinstance(node.layer, keras.layers.Softmax):
        return node.layer.axis
    if not _operation(node.layer):
        return -1
    axis = node.call_args[1] if len(node.call_args) > 1 else node.call_kwargs.get('axis')
    return -1 if axis is None else axis


def _refuse_other_uses(model: keras.Model, head: Any) -> None:
    """Raises a `UsageError` if other layers than those of the model's output depend on the head."""
    made = {id(tensor) for tensor in tf.nest.flatten(head.outputs)}
    nodes = nodes_in_order(model)
    num_readers = sum(any(id(tensor) in made for tensor in tf.nest.flatten(node.keras_inputs)) for node in nodes)
    num_readers += id(model.outputs[0]) in made
    num_calls = sum(node.layer is head.layer for node in nodes)
    if num_readers > 1 or num_calls > 1:
        raise UsageError(
            f'model {model.name!r} ends with a {_function(head.layer)} (layer {head.layer.name!r}), but '
            'the loss takes logits, and the probabilities are used elsewhere in the network too; let its '
            'output be the logits'
        )
