"""Inlines nested models: the layers of a model that is called as a layer become part of the calling model.

Transfer learning usually calls an entire network as a layer, `base(x, training=False)`. Code that iterates over
`model.layers` (channel analysis, quantization, tables of costs) would treat it as one opaque layer.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf
import tf_keras as keras
from tf_keras.src.engine.functional import Functional

from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph.functional import nodes_in_order

Tensors = dict[int, Any]
"""Id of a tensor of the original model -> the corresponding tensor of the copy."""


@dataclasses.dataclass(frozen=True)
class _Context:
    """Settings of the models that enclose a layer.

    Attributes:
      models: names of the enclosing models below the outermost one, outer ones first.
      training: the `training` argument of the innermost enclosing call that has one.
      trainable: whether none of the enclosing models is frozen.
    """

    models: tuple[str, ...] = ()
    training: bool | None = None
    trainable: bool = True

    def inside(self, model: keras.Model, training: bool | None) -> _Context:
        return _Context(
            (*self.models, model.name),
            self.training if training is None else training,
            self.trainable and model.trainable,
        )


def flatten(model: keras.Model) -> keras.Model:
    """Converts a model to one functional model without models among its layers.

    Weights, `trainable` flags and `training` arguments are preserved: layers of a nested model that is called with
    `training=False` are called with `training=False`, and layers of a frozen model are frozen, as in Keras when it
    loads such a model. Shared layers stay shared. Layers keep their names; a nested layer whose name is taken is
    prefixed with the names of its enclosing models.

    Args:
      model: a functional model, or a `Sequential` one that is built; it is not modified.

    Returns:
      The flat model, or `model` itself if it is already flat.

    Raises:
      UsageError: it, or a model within it, is subclassed, or a call cannot be expressed in a flat graph.
    """
    _refuse_unreadable(model, model)
    if type(model) is Functional and not any(isinstance(layer, keras.Model) for layer in model.layers):
        return model
    flattener = _Flattener(model)
    inputs: Tensors = {}
    for node in nodes_in_order(model):
        if node.is_input:
            inputs[id(node.outputs)] = flattener.copy_of(node.layer, _Context()).output
    tensors = flattener.replay(model, inputs, _Context(trainable=model.trainable))
    ends = tf.nest.map_structure(lambda tensor: tensors[id(tensor)], [model.input, model.output])
    flat = keras.Model(*ends, name=model.name)
    flattener.copy_weights()
    return flat


def _refuse_unreadable(model: keras.Model, outermost: keras.Model) -> None:
    """Raises a `UsageError` if a model is not defined by its graph, because it is subclassed or not built."""
    follows_graph = isinstance(model, Functional) and type(model).call in (Functional.call, keras.Sequential.call)
    if follows_graph and getattr(model, '_nodes_by_depth', None):
        return
    kind = type(model).__name__
    if isinstance(model, keras.Sequential) and follows_graph:
        raise UsageError(
            f'model {model.name!r} is a Sequential model that was never built: give its first layer an '
            'input_shape, or begin with keras.Input(shape)'
        )
    if model is outermost:
        raise UsageError(
            f'model {model.name!r} is a subclassed model ({kind}): its graph of layers cannot be read; '
            'build it with keras.Model(inputs, outputs)'
        )
    raise UsageError(
        f'model {outermost.name!r}: its layer {model.name!r} is a subclassed model ({kind}), whose layers '
        'cannot be read; build it with keras.Model(inputs, outputs), or derive it from keras.layers.Layer '
        'to keep it as one layer'
    )


class _Flattener:
    """Copies the layers of a model and of those within it, one copy per layer, and calls them again.

    Args:
      model: the outermost model.
    """

    def __init__(self, model: keras.Model):
        self._model = model
        self._names = {layer.name for layer in model.layers if not isinstance(layer, keras.Model)}
        self._outer = {id(layer) for layer in model.layers}
        self._copies: dict[int, tuple[keras.layers.Layer, keras.layers.Layer]] = {}

    def replay(self, model: keras.Model, tensors: Tensors, context: _Context) -> Tensors:
        """Repeats the calls of a model's layers on other inputs.

        Args:
          model: the outermost model or one within it.
          tensors: tensors that correspond to its inputs.
          context: the context of its layers.

        Returns:
          The tensors that correspond to all tensors of the model.
        """
        tensors = dict(tensors)
        for node in nodes_in_order(model):
            if node.is_input:
                continue
            args, kwargs = tf.nest.map_structure(
                lambda value: tensors.get(id(value), value), (node.call_args, node.call_kwargs)
            )
            if isinstance(node.layer, keras.Model):
                results = self._inlined(node.layer, args, kwargs, context)
            else:
                copy = self.copy_of(node.layer, context)
                results = copy(*args, **_with_training(node.layer, kwargs, context.training))
            tensors.update(zip(map(id, tf.nest.flatten(node.outputs)), tf.nest.flatten(results), strict=True))
        return tensors

    def copy_of(self, layer: keras.layers.Layer, context: _Context) -> keras.layers.Layer:
        """The copy of a layer, created at its first call."""
        if id(layer) not in self._copies:
            name = layer.name if id(layer) in self._outer else self._free_name(layer.name, context.models)
            self._copies[id(layer)] = layer, _copy(layer, name, layer.trainable and context.trainable)
        return self._copies[id(layer)][1]

    def copy_weights(self) -> None:
        for layer, copy in self._copies.values():
            copy.set_weights(layer.get_weights())

    def _inlined(
        self, nested: keras.Model, args: tuple[Any, ...], kwargs: dict[str, Any], context: _Context
    ) -> list[Any]:
        """The outputs of a nested model for these arguments."""
        _refuse_unreadable(nested, self._model)
        given, training = _arguments(self._model, nested, args, kwargs)
        values = nested._flatten_to_reference_inputs(given)
        inputs = {
            id(inner): _conformed(self._model, nested, value, inner)
            for inner, value in zip(nested.inputs, values, strict=True)
        }
        tensors = self.replay(nested, inputs, context.inside(nested, training))
        return [tensors[id(tensor)] for tensor in nested.outputs]

    def _free_name(self, name: str, models: tuple[str, ...]) -> str:
        """A unique name: `name`, prefixed with as many of its models' names as required, or numbered."""
        candidates = ['_'.join((*models[len(models) - depth :], name)) for depth in range(len(models) + 1)]
        number = 1
        while candidates[0] in self._names:
            number += 1
            candidates = candidates[1:] or [f'{"_".join((*models, name))}_{number}']
        self._names.add(candidates[0])
        return candidates[0]


def _copy(layer: keras.layers.Layer, name: str, trainable: bool) -> keras.layers.Layer:
    """An unbuilt copy. Configurations of custom layers may lack the name and `trainable`, which are set here."""
    config = layer.get_config()
    copy = type(layer).from_config({**config, 'name': name} if 'name' in config else config)
    if copy.name != name:
        copy._name = name
    if copy.trainable != trainable:
        copy.trainable = trainable
    return copy


def _with_training(layer: keras.layers.Layer, kwargs: dict[str, Any], training: bool | None) -> dict[str, Any]:
    """The arguments of a call, with `training` as Keras would propagate it from the call of an enclosing model."""
    if training is None or kwargs.get('training') is not None or not getattr(layer, '_expects_training_arg', False):
        return kwargs
    return {**kwargs, 'training': training}


def _arguments(
    outermost: keras.Model, nested: keras.Model, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, bool | None]:
    """(inputs, training) of a call of a nested model."""
    given = {**dict(zip(('inputs', 'training', 'mask'), args, strict=False)), **kwargs}
    inputs, training, mask = (given.pop(name, None) for name in ('inputs', 'training', 'mask'))
    # 0 and 1 are equivalent to False and True; a tensor would be evaluated in every call.
    if not isinstance(training, bool | int | None) or mask is not None or given:
        odd = 'a mask' if mask is not None else ', '.join(given) or 'training=TENSOR'
        raise UsageError(
            f'model {outermost.name!r}: its nested model {nested.name!r} is called with {odd}, which '
            'cannot be merged into one graph; call it as base(x) or base(x, training=False)'
        )
    return inputs, None if training is None else bool(training)


def _conformed(outermost: keras.Model, nested: keras.Model, value: Any, reference: Any) -> Any:
    """An input of a nested model, cast to the type with which the model was built, as in Keras."""
    if value.shape.rank != reference.shape.rank:
        raise UsageError(
            f'model {outermost.name!r}: its nested model {nested.name!r} was built for inputs of shape '
            f'{tuple(reference.shape)} and is called with {tuple(value.shape)}, which cannot be merged '
            'into one graph; reshape them first'
        )
    return value if value.dtype == reference.dtype else tf.cast(value, reference.dtype)
