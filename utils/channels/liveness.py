"""Decides which channels each tensor still needs, given what the readers still read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from utils.channels.identities import ChannelGraph, Step

Ids = frozenset[int]


@dataclasses.dataclass(frozen=True, eq=False)
class Liveness:
    """What is left of a graph.

    Attributes:
        graph: the graph of the whole model.
        stored: tensor -> the identities that it still has; none where nobody needs the tensor.
        read: reader -> the identities that it still reads.
    """

    graph: ChannelGraph
    stored: Mapping[int, Ids]
    read: Mapping[str, Ids]

    def is_alive(self, step: Step) -> bool:
        """Whether anybody needs what `step` makes."""
        return any(self.stored[key] for key in step.outputs)

    def wants(self, step: Step, key: int) -> Ids:
        """The identities of its input `key` that `step`, if alive, takes."""
        if step.rule is None:
            return self.graph.members[key]
        if step.reads:
            return self.read[step.layer.name]
        return self.stored[step.outputs[0]] & self.graph.members[key]

    def taken(self, step: Step, key: int) -> np.ndarray:
        """Where in the whole tensor `key` the channels are that `step` takes, ascending."""
        return self.graph.positions(key, self.wants(step, key))

    def left(self, key: int) -> np.ndarray:
        """Where in the whole tensor `key` the channels are that it still has, ascending."""
        return self.graph.positions(key, self.stored[key])


def liveness(graph: ChannelGraph, read: Mapping[str, Ids]) -> Liveness:
    """Finds out what each tensor must store when the reader `name` reads just the identities `read[name]`.

    A tensor stores the union of what those who take it need; one that takes part in an addition stores
    every channel that anybody reads anywhere in the stream, so that no selection is needed on the way.
    A step whose result nobody needs reads nothing: dead code is found by repeating until nothing changes.
    """
    live = frozenset().union(*graph.members.values())
    while True:
        alive = _backward(graph, read, live)
        still_live = _live(alive)
        if still_live == live:
            return alive
        live = still_live


def _backward(graph: ChannelGraph, read: Mapping[str, Ids], live: Ids) -> Liveness:
    """One pass from the outputs to the inputs, given which identities are read anywhere."""
    needed = {key: ids if key in graph.outputs else frozenset() for key, ids in graph.members.items()}
    tied: set[int] = set()
    stored: dict[int, Ids] = {}
    alive = Liveness(graph, stored, read)
    for step in reversed(graph.steps):
        is_needed = any(needed[key] for key in step.outputs)
        if is_needed and step.merges:
            tied.update(step.inputs, step.outputs)
        for key in step.outputs:
            stored[key] = _all_stored(graph, key, needed[key], live if key in tied else frozenset())
        if is_needed:
            for key in step.inputs:
                needed[key] |= alive.wants(step, key)
    return alive


def _all_stored(graph: ChannelGraph, key: int, needed: Ids, tied: Ids) -> Ids:
    if not needed:
        return needed
    return graph.members[key] if key in graph.fixed else needed | (tied & graph.members[key])


def _live(alive: Liveness) -> Ids:
    """The identities that a living reader, a layer without a rule, or the caller of the model reads."""
    graph = alive.graph
    live = set().union(*(graph.members[key] for key in graph.outputs))
    for step in graph.steps:
        if (step.rule is None or step.reads) and alive.is_alive(step):
            live.update(*(alive.wants(step, key) for key in step.inputs))
    return frozenset(live)
