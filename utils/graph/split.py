"""Where a network can be cut in two, so that the front part is computed once, and the rest is trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph.functional import nodes_in_order


def layers_before(model: keras.Model, name: str, included: bool = True) -> frozenset[str]:
    """Names of the layers that the output of a layer depends on.

    Args:
      model: a flat functional model.
      name: of the layer.
      included: whether the layer itself is one of them.

    Raises:
      UsageError: there is no such layer.
    """
    nodes = nodes_in_order(model)
    names = [node.layer.name for node in nodes]
    if name not in names:
        weights = [layer.name for layer in model.layers if layer.weights]
        raise UsageError(f'has no layer {name!r}; its layers with weights are {_some(weights)}')
    needed: set[int] = set()
    found = set()
    for node in reversed(nodes):
        is_named = node.layer.name == name
        if is_named or any(id(tensor) in needed for tensor in tf.nest.flatten(node.outputs)):
            needed |= {id(tensor) for tensor in tf.nest.flatten(node.keras_inputs)}
            if included or not is_named:
                found.add(node.layer.name)
    return frozenset(found)


def _some(names: list[str]) -> str:
    """The first and the last names."""
    return ', '.join(names) if len(names) <= 8 else f'{", ".join(names[:4])}, ..., {", ".join(names[-4:])}'


def border(model: keras.Model, front: Collection[str]) -> Any | None:
    """The one tensor through which all that the other layers use of the layers `front` goes.

    None if there are several, several inputs, or layers that are called more than once.

    Args:
      model: a flat functional model.
      front: names of layers that use nothing of the others.
    """
    calls = Counter(node.layer.name for node in nodes_in_order(model))
    if len(model.inputs) != 1 or max(calls.values()) > 1:
        return None
    made_in_front = {
        id(tensor)
        for node in nodes_in_order(model)
        if node.layer.name in front or node.is_input
        for tensor in tf.nest.flatten(node.outputs)
    }
    crossing = {
        id(tensor): tensor
        for node in nodes_in_order(model)
        if node.layer.name not in front and not node.is_input
        for tensor in tf.nest.flatten(node.keras_inputs)
        if id(tensor) in made_in_front
    }
    return next(iter(crossing.values())) if len(crossing) == 1 else None


def behind(model: keras.Model, tensor: Any, front: Collection[str]) -> keras.Model:
    """A copy of what follows a tensor, as a model that takes its values; weights are copied, names are kept.

    Args:
      model: a flat functional model.
      tensor: what `border` gives.
      front: the layers before it.
    """
    inputs = keras.Input(tensor.shape[1:], dtype=tensor.dtype, name='features')
    tensors: dict[int, Any] = {id(tensor): inputs}
    copies: dict[str, keras.layers.Layer] = {}
    for node in nodes_in_order(model):
        layer = node.layer
        if node.is_input or layer.name in front:
            continue
        if layer.name not in copies:
            copies[layer.name] = type(layer).from_config(layer.get_config())
        args, kwargs = tf.nest.map_structure(
            lambda value: tensors.get(id(value), value), (node.call_args, node.call_kwargs)
        )
        results = copies[layer.name](*args, **kwargs)
        tensors.update(zip(map(id, tf.nest.flatten(node.outputs)), tf.nest.flatten(results), strict=True))
    rest = keras.Model(inputs, tensors[id(model.output)], name=model.name)
    copy_weights(model, rest)
    return rest


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copies the weights of the layers that both models have, by name."""
    names = {layer.name for layer in source.layers} & {layer.name for layer in target.layers}
    for name in names:
        layer = target.get_layer(name)
        if layer.weights:
            layer.set_weights(source.get_layer(name).get_weights())
