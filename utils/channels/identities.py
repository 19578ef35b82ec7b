"""Assigns an identity to every channel of every tensor of a model.

Channels with the same identity (such as the operands of an addition) can only be removed together.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.channels.rules import Flow, Rule, is_elementwise, rule_for
from pocketflow.utils.graph import nodes_in_order


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """One call of one layer; tensors are named by keys of `ChannelGraph.classes`.

    Attributes:
        layer: the layer that is called.
        node: Keras' record of the call.
        rule: the rule of the layer's type, or None.
        inputs: the input tensors, in order; one may occur several times.
        outputs: the output tensors.
    """

    layer: keras.layers.Layer
    node: Any
    rule: Rule | None
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def known_rule(self) -> Rule:
        """The rule of a layer that is known to have one."""
        assert self.rule is not None, f'layer {self.layer.name!r} has no rule'
        return self.rule

    @functools.cached_property
    def reads(self) -> bool:
        """Whether input channels of this step can be dropped by the caller."""
        return self.rule is not None and self.rule.reads

    @functools.cached_property
    def merges(self) -> bool:
        """Whether this step merges the identities of its inputs, as an addition does."""
        return self.rule is not None and self.rule.flow is Flow.MERGES

    @functools.cached_property
    def passes(self) -> bool:
        """Whether the outputs have the identities of the step's single input."""
        return self.rule is not None and self.rule.flow in (Flow.PASSES, Flow.REPEATS_EACH, Flow.REPEATS_ALL)

    @functools.cached_property
    def joins(self) -> bool:
        """Whether this step concatenates the channels of its inputs."""
        return self.rule is not None and self.rule.flow is Flow.JOINS

    @functools.cached_property
    def picks(self) -> bool:
        """Whether this step is a channel selection."""
        return self.rule is not None and self.rule.flow is Flow.PICKS

    @property
    def keeps_all_outputs(self) -> bool:
        """Whether the number of output channels of this step cannot be reduced."""
        return self.rule is None or (self.reads and not is_elementwise(self.layer))


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelGraph:
    """A model, its calls in the order of execution, and the identities of its channels.

    Attributes:
        model: the model, which must outlive its keys.
        steps: all calls, each after those it depends on.
        classes: tensor -> identity of each of its channels; channels of equal identity are kept or removed
            together. A tensor whose number of channels is unknown has one identity for all of them.
        outputs: the tensors that the model returns.
    """

    model: keras.Model
    steps: tuple[Step, ...]
    classes: Mapping[int, np.ndarray]
    outputs: frozenset[int]

    @functools.cached_property
    def members(self) -> dict[int, int]:
        """Tensor -> the bit set of its identities."""
        return {key: bit_set(np.unique(ids).tolist()) for key, ids in self.classes.items()}

    @functools.cached_property
    def fixed(self) -> frozenset[int]:
        """The tensors that always have all their channels."""
        return frozenset(key for step in self.steps if step.keeps_all_outputs for key in step.outputs)

    @functools.cached_property
    def repeats(self) -> dict[int, tuple[tuple[int, int], ...]]:
        """Tensor -> pairs of a number n and the bit set of the identities that n of its channels have."""
        return {key: _repeats(ids) for key, ids in self.classes.items()}

    def count(self, key: int, wanted: int) -> int:
        """Number of channels of the tensor `key` whose identity is in the bit set `wanted`."""
        return sum([times * (wanted & ids).bit_count() for times, ids in self.repeats[key]])

    def takable(self, step: Step, wanted: int) -> int:
        """`wanted`, extended for a grouped layer until each group of the reader `step` has equally many channels."""
        return self._even(step, step.inputs[0], wanted) if step.known_rule.grouped else wanted

    def makable(self, step: Step, wanted: int) -> int:
        """`wanted`, extended for a grouped layer until each group of the step `step` makes equally many channels."""
        return self._even(step, step.outputs[0], wanted) if step.rule is not None and step.rule.grouped else wanted

    def _even(self, step: Step, key: int, wanted: int) -> int:
        groups, repeats = self._groups[key, step.layer.groups]
        while True:
            counts = [sum([times * (wanted & ids).bit_count() for times, ids in of_group]) for of_group in repeats]
            if min(counts) == max(counts):
                return wanted
            for group, count in zip(groups, counts, strict=True):
                if count < max(counts):
                    others = [identity for identity in group if not wanted >> identity & 1]
                    wanted |= bit_set(set(others[: max(counts) - count]))

    @functools.cached_property
    def _groups(self) -> dict[tuple[int, int], tuple[list[list[int]], list[tuple[tuple[int, int], ...]]]]:
        """(tensor of a grouped layer, its number of groups) -> the identities, and `repeats`, of each group."""
        found = {}
        for step in (step for step in self.steps if step.rule is not None and step.rule.grouped):
            for key in (step.inputs[0], step.outputs[0]):
                parts = np.split(self.classes[key], step.layer.groups)
                found[key, step.layer.groups] = ([ids.tolist() for ids in parts], [_repeats(ids) for ids in parts])
        return found

    def positions(self, key: int, wanted: int) -> np.ndarray:
        """Indices, ascending, of the channels of the tensor `key` whose identity is in the bit set `wanted`."""
        return np.flatnonzero([wanted >> identity & 1 for identity in self.classes[key].tolist()])


def bit_set(ids: Iterable[int]) -> int:
    """The bit set of distinct identities.

    >>> bin(bit_set([0, 3]))
    '0b1001'
    """
    return sum(1 << identity for identity in ids)


def _repeats(ids: np.ndarray) -> tuple[tuple[int, int], ...]:
    values, times = np.unique(ids, return_counts=True)
    return tuple((n, bit_set(values[times == n].tolist())) for n in np.unique(times).tolist())


class _Identities:
    """Creates and merges identities (union-find)."""

    def __init__(self) -> None:
        self._parent: list[int] = []

    def fresh(self, count: int) -> np.ndarray:
        start = len(self._parent)
        self._parent.extend(range(start, start + count))
        return np.arange(start, start + count)

    def merge(self, lists: Iterable[np.ndarray]) -> np.ndarray:
        first, *others = lists
        for other in others:
            for one, two in zip(first.tolist(), other.tolist(), strict=True):
                self._parent[self._root(two)] = self._root(one)
        return first

    def roots(self, ids: np.ndarray) -> np.ndarray:
        return np.array([self._root(identity) for identity in ids.tolist()], dtype=np.int64)

    def _root(self, identity: int) -> int:
        while self._parent[identity] != identity:
            self._parent[identity] = self._parent[self._parent[identity]]
            identity = self._parent[identity]
        return identity


def trace(model: keras.Model | ChannelGraph) -> ChannelGraph:
    """Follows the channels of a functional model from its inputs to its outputs.

    Args:
        model: a built functional (or sequential) model, or a graph, which is returned unchanged, so that a
            model that is analysed several times need be traced only once.

    Raises:
        UsageError: the model is not functional.
    """
    if isinstance(model, ChannelGraph):
        return model
    nodes = nodes_in_order(model)
    calls = collections.Counter(node.layer.name for node in nodes)
    steps = tuple(_step(node, calls[node.layer.name]) for node in nodes)
    identities = _Identities()
    raw: dict[int, np.ndarray] = {}
    for step in steps:
        raw.update(_outgoing(step, raw, identities))
    classes = {key: identities.roots(ids) for key, ids in raw.items()}
    return ChannelGraph(model, steps, classes, frozenset(id(t) for t in model.outputs))


def _step(node: Any, num_calls: int) -> Step:
    outputs = tuple(id(tensor) for tensor in tf.nest.flatten(node.outputs))
    rule = None if node.is_input else rule_for(node, num_calls)
    return Step(node.layer, node, rule, tuple(id(tensor) for tensor in node.keras_inputs), outputs)


def _outgoing(step: Step, known: Mapping[int, np.ndarray], identities: _Identities) -> dict[int, np.ndarray]:
    tensors = tf.nest.flatten(step.node.outputs)
    if step.rule is None or step.rule.flow is Flow.MAKES:
        return {id(tensor): identities.fresh(_num_channels(tensor)) for tensor in tensors}
    inputs = [known[key] for key in step.inputs]
    return {step.outputs[0]: _passed_on(step, inputs, _num_channels(tensors[0]), identities)}


def _passed_on(step: Step, inputs: list[np.ndarray], num_out: int, identities: _Identities) -> np.ndarray:
    match step.known_rule.flow:
        case Flow.REPEATS_EACH:
            return np.repeat(inputs[0], num_out // len(inputs[0]))
        case Flow.REPEATS_ALL:
            return np.tile(inputs[0], num_out // len(inputs[0]))
        case Flow.MERGES:
            return identities.merge(inputs)
        case Flow.JOINS:
            return np.concatenate(inputs)
        case Flow.PICKS:
            return inputs[0][list(step.layer.indices)]
        case _:
            return inputs[0]


def _num_channels(tensor: Any) -> int:
    """Size of the last axis; 1 where it is unknown, since such channels cannot be told apart."""
    shape = tensor.shape
    return shape[-1] if shape.rank and len(shape) >= 2 and shape[-1] is not None else 1
