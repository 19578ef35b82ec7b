"""Builds the smaller model, and the full-size reference with zero weights that it must agree with."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.channels.identities import ChannelGraph, Step, trace
from pocketflow.utils.channels.liveness import Liveness
from pocketflow.utils.channels.placement import channels_left
from pocketflow.utils.channels.readers import kept_identities
from pocketflow.utils.channels.rules import Flow, Rule, Side, weight_names
from pocketflow.utils.channels.weights import cut, cut_groups, weight_cuts, without_unread, zero_unread
from pocketflow.utils.graph import copied
from pocketflow.utils.graph.channel_select import ChannelSelect


def remove_channels(model: keras.Model, kept: Mapping[str, Sequence[int]]) -> keras.Model:
    """Removes every unread channel, with the weights that compute it.

    The remaining weights are unchanged (`pocketflow.prune_channels` chooses the channels and re-fits weights). This is
    dead-code elimination by liveness analysis (Aho et al. 2006, "Compilers", section 9.2.5), applied to channels.

    >>> inputs = keras.Input((8, 8, 3))
    >>> maps = keras.layers.Conv2D(4, 3, name='second')(keras.layers.Conv2D(16, 3, name='first')(inputs))
    >>> small = remove_channels(keras.Model(inputs, maps), {'second': [0, 2, 5]})
    >>> small.get_layer('first').filters, small.get_layer('second').kernel.shape.as_list()
    (3, [3, 3, 3, 4])

    Args:
        model: a functional model; it is not modified.
        kept: reader -> the input channels that it still reads (see `reader_channels`); others read all.

    Returns:
        A functional model, not compiled, with the same inputs, outputs and layer names, that computes the same
        function as `drop_inputs(model, kept)`. Where other layers need channels of a reader's input that it does
        not read, either a `ChannelSelect` named '<layer>_select' precedes it or a layer before it, or the reader
        has zero weights for them, depending on which takes fewer multiply-adds.

    Raises:
        UsageError: the model is not functional, or `kept` does not fit it.
    """
    graph = trace(model)
    return _Builder(channels_left(graph, kept_identities(graph, kept))).build()


def drop_inputs(model: keras.Model, kept: Mapping[str, Sequence[int]]) -> keras.Model:
    """A copy of a functional model in which the weights of each reader for dropped channels are zero.

    The full-size reference of `remove_channels(model, kept)`: both compute the same function.

    Raises:
        UsageError: the model is not functional, or `kept` does not fit it.
    """
    graph = trace(model)
    read = kept_identities(graph, kept)
    copy = copied(model)
    for step, original in zip(trace(copy).steps, graph.steps, strict=True):
        if original.reads:
            zero_unread(graph, original, step.layer, read[original.layer.name])
    return copy


def input_masks(
    model: keras.Model | ChannelGraph, kept: Mapping[str, Sequence[int]]
) -> dict[str, dict[str, np.ndarray]]:
    """Reader -> {attribute: float32 mask, 0 for weights of dropped channels and 1 elsewhere}.

    Weights without an axis of input channels have no mask. Arguments and errors as for `drop_inputs`; readers that
    are not in `kept` are omitted.
    """
    graph = trace(model)
    read = kept_identities(graph, kept)
    masks: dict[str, dict[str, np.ndarray]] = {}
    for step in (step for step in graph.steps if step.reads and step.layer.name in kept):
        rule = step.known_rule
        names = [name for name in weight_names(step.layer, rule) if Side.IN in rule.weights[name].values()]
        ones = {name: np.ones(getattr(step.layer, name).shape, np.float32) for name in names}
        masks[step.layer.name] = {
            name: without_unread(graph, step, name, value, read[step.layer.name]) for name, value in ones.items()
        }
    return masks


class _Builder:
    """Calls smaller copies of all living layers, in order."""

    def __init__(self, alive: Liveness) -> None:
        self._alive = alive
        self._graph = alive.graph
        self._layers: dict[str, keras.layers.Layer] = {}
        self._tensors: dict[int, Any] = {}
        self._picks: dict[tuple[int, bytes], Any] = {}
        self._names = {step.layer.name for step in self._graph.steps if not step.picks}

    def build(self) -> keras.Model:
        for step in self._graph.steps:
            if step.node.is_input:
                self._tensors[step.outputs[0]] = _copy(step.layer).output
            elif self._alive.is_alive(step):
                self._store(step, self._result(step))
        model = self._graph.model
        inputs, outputs = tf.nest.map_structure(lambda t: self._tensors[id(t)], [model.input, model.output])
        return keras.Model(inputs, outputs, name=model.name)

    def _store(self, step: Step, result: Any) -> None:
        self._tensors.update(zip(step.outputs, tf.nest.flatten(result), strict=True))

    def _result(self, step: Step) -> Any:
        if step.picks:
            return self._repeated_pick(step)
        wanted = (key for key in dict.fromkeys(step.inputs) if self._alive.required(step, key))
        feed = {key: self._taken(step, key) for key in wanted}
        if step.rule is not None and step.rule.flow is Flow.JOINS:
            return self._join(step, feed)
        args, kwargs = tf.nest.map_structure(
            lambda value: feed.get(id(value), value), (step.node.call_args, step.node.call_kwargs)
        )
        result = self._layer(step)(*args, **kwargs)
        self._fill(step)
        return result

    def _join(self, step: Step, feed: Mapping[int, Any]) -> Any:
        parts = [feed[key] for key in step.inputs if key in feed]
        return parts[0] if len(parts) == 1 else self._layer(step)(parts)

    def _repeated_pick(self, step: Step) -> Any:
        """The replacement of a `ChannelSelect` of the original model: one with fewer channels, or none."""
        positions = np.asarray(step.layer.indices)[self._alive.left(step.outputs[0])]
        return self._pick(step.inputs[0], positions, step.layer.name)

    def _taken(self, step: Step, key: int) -> Any:
        return self._pick(key, self._alive.taken(step, key), f'{step.layer.name}_select')

    def _pick(self, key: int, positions: np.ndarray, name: str) -> Any:
        """The channels at `positions` of the original tensor `key`, with a selection if more are stored."""
        stored = self._alive.left(key)
        if np.array_equal(stored, positions):
            return self._tensors[key]
        cached = (key, positions.tobytes())
        if cached not in self._picks:
            source = self._tensors[key]
            select = ChannelSelect(
                np.searchsorted(stored, positions).tolist(), len(stored), name=self._unused(name), dtype=source.dtype
            )
            self._picks[cached] = select(source)
        return self._picks[cached]

    def _unused(self, name: str) -> str:
        suffixes = itertools.chain([''], (f'_{number}' for number in itertools.count(1)))
        unused = next(name + suffix for suffix in suffixes if name + suffix not in self._names)
        self._names.add(unused)
        return unused

    def _layer(self, step: Step) -> keras.layers.Layer:
        layer = step.layer
        if layer.name not in self._layers:
            self._layers[layer.name] = _copy(layer, step.rule, len(self._alive.left(step.outputs[0])))
        return self._layers[layer.name]

    def _fill(self, step: Step) -> None:
        layer = self._layers[step.layer.name]
        if step.rule is None:
            layer.set_weights(step.layer.get_weights())
            return
        for name, cuts in weight_cuts(self._alive, step).items():
            value = getattr(step.layer, name).numpy()
            if step.reads:
                value = without_unread(self._graph, step, name, value, self._alive.read[step.layer.name])
            if step.rule.grouped and name == 'kernel':
                source = step.inputs[0]
                taken, num_channels = self._alive.taken(step, source), len(self._graph.classes[source])
                value = cut_groups(value, taken, num_channels, step.layer.groups)
                sides = step.rule.weights[name]
                cuts = {axis: indices for axis, indices in cuts.items() if sides[axis] is Side.OUT}
            getattr(layer, name).assign(cut(value, cuts))


def _copy(layer: keras.layers.Layer, rule: Rule | None = None, num_outputs: int = 0) -> keras.layers.Layer:
    """A new layer of the same name and options, with `num_outputs` channels if its rule has a size."""
    config = layer.get_config()
    if rule is not None and rule.size is not None:
        config[rule.size] = num_outputs
    if rule is not None and rule.resize is not None:
        rule.resize(config, num_outputs)
    if rule is not None:
        config = {name: _without_array(entry) for name, entry in config.items()}
    return type(layer).from_config(config)


def _without_array(entry: Any) -> Any:
    """`entry`, or zeros if it is a constant initializer whose array would not fit the smaller weight."""
    options = entry.get('config') if isinstance(entry, dict) else None
    has_array = isinstance(options, dict) and not isinstance(options.get('value', 0), (int, float))
    return 'zeros' if has_array else entry
