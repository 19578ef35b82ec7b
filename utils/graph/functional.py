"""The graph of a functional model: its calls in order, and copies with replaced layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph.inputs import inputs_in_order
from pocketflow.utils.tasks.nests import Nest, in_batches

Call: TypeAlias = keras.layers.Layer | Callable[..., Any]
Edit = Callable[[keras.layers.Layer, keras.layers.Layer], Call]
"""`edit(layer, copy)` returns the replacement for `layer`: `copy`, another layer, or a function of tensors."""


def nodes_in_order(model: keras.Model) -> list[Any]:
    """Keras' records of all calls of layers, each after those it depends on.

    Raises:
      UsageError: the model is not functional.
    """
    by_depth = getattr(model, '_nodes_by_depth', None)
    if not by_depth:
        name = getattr(model, 'name', model)
        raise UsageError(
            f'model {name!r} is a {type(model).__name__}, not a functional Keras model: its graph of layers'
            ' cannot be read; build it with keras.Model(inputs, outputs)'
        )
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def copied(model: keras.Model) -> keras.Model:
    """A copy of a model, with copies of its weights."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def refresh_derived_values(model: keras.Model) -> None:
    """Recomputes what layers derive from their weights, after these were assigned one by one.

    `Normalization` computes with copies of its mean and variance, which Keras updates only in `set_weights`.
    """
    for layer in model.submodules:
        if isinstance(layer, keras.layers.Normalization) and layer.built:
            layer.finalize_state()


def output_extremes(model: keras.Model, names: Sequence[str], images: Nest, batch_size: int) -> np.ndarray:
    """The least and the greatest output of layers for each batch, in inference mode.

    Args:
      model: a functional model.
      names: layers with one output; for a layer with several calls, extremes are taken over all of them.
      images: inputs `[N, ...]` (float32); several inputs are a dict or tuple of arrays.
      batch_size: images per batch.

    Returns:
      float32 `[batches, names, 2]`.
    """
    if not names:
        return np.zeros((1, 0, 2), np.float32)
    used = {id(tensor) for node in nodes_in_order(model) for tensor in tf.nest.flatten(node.outputs)}
    outputs = [
        [node.outputs for node in model.get_layer(name).inbound_nodes if id(node.outputs) in used] for name in names
    ]
    watched = keras.Model(model.inputs, outputs)

    @tf.function(reduce_retracing=True)
    def extremes(batch: list[tf.Tensor]) -> tf.Tensor:
        values = tf.nest.flatten(watched(batch, training=False))  # Keras takes a single tensor out of its lists
        return tf.stack(
            [
                (
                    tf.reduce_min([tf.reduce_min(tensor) for tensor in tensors]),
                    tf.reduce_max([tf.reduce_max(tensor) for tensor in tensors]),
                )
                for tensors in tf.nest.pack_sequence_as(outputs, values)
            ]
        )

    return np.stack([extremes(batch).numpy() for batch in in_batches(inputs_in_order(model, images), batch_size)])


def rebuild(model: keras.Model, edit: Edit) -> keras.Model:
    """Clones a functional model with its weights; `edit` may replace or wrap layers.

    Args:
      model: a functional model; it is not modified.
      edit: called once per layer (inputs excepted) with the layer and an unbuilt copy of it. The returned layer or
        function is called in place of the layer, in each of its calls. The weights of the layer are copied to `copy` if
        that is called; the weights of other new layers are set by the caller.

    Returns:
      A functional model of the same name, inputs and outputs.

    Raises:
      UsageError: the model is not functional.
    """
    calls: dict[str, Call] = {}
    copies: dict[str, keras.layers.Layer] = {}
    tensors: dict[int, Any] = {}
    for node in nodes_in_order(model):
        layer = node.layer
        if layer.name not in copies:
            copies[layer.name] = type(layer).from_config(layer.get_config())
            if not node.is_input:
                calls[layer.name] = edit(layer, copies[layer.name])
        if node.is_input:
            results = copies[layer.name].output
        else:
            args, kwargs = tf.nest.map_structure(
                lambda value: tensors.get(id(value), value), (node.call_args, node.call_kwargs)
            )
            results = calls[layer.name](*args, **kwargs)
        tensors.update(zip(map(id, tf.nest.flatten(node.outputs)), tf.nest.flatten(results), strict=True))
    inputs, outputs = tf.nest.map_structure(lambda tensor: tensors[id(tensor)], [model.input, model.output])
    result = keras.Model(inputs, outputs, name=model.name)
    _copy_weights(model, copies, result)
    return result


def _copy_weights(model: keras.Model, copies: dict[str, keras.layers.Layer], result: keras.Model) -> None:
    used = {id(layer) for layer in result.layers}
    for name, copy in copies.items():
        if id(copy) in used and copy.weights:  # the input layer of a sequential model is not in its list
            copy.set_weights(model.get_layer(name).get_weights())
