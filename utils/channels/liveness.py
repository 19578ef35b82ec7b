"""Decides which channels each tensor still needs, given what the readers still read.

Sets of identities are bit sets: identity i is in the set `bits` if `bits >> i & 1`.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pocketflow.utils.channels.identities import ChannelGraph, Step


@dataclasses.dataclass(frozen=True, eq=False)
class Liveness:
    """What is left of a graph.

    Attributes:
        graph: the graph of the whole model.
        stored: tensor -> the identities that it still has; none where nobody needs the tensor.
        read: reader -> the identities for which it still has weights.
        held: reader -> the identities that it takes; those that it does not read meet zeros.
        living: the steps of which anybody needs what they make, from the outputs to the inputs.
    """

    graph: ChannelGraph
    stored: Mapping[int, int]
    read: Mapping[str, int]
    held: Mapping[str, int]
    living: Sequence[Step]

    @property
    def members(self) -> Mapping[int, int]:
        """Tensor -> the identities that it has in the whole model."""
        return self.graph.members

    def is_alive(self, step: Step) -> bool:
        """Whether anybody needs what `step` makes."""
        return any(self.stored[key] for key in step.outputs)

    def wants(self, step: Step, key: int) -> int:
        """The identities of its input `key` that `step`, if alive, takes."""
        if step.rule is None:
            return self.members[key]
        if step.reads:
            return self.held[step.layer.name]
        return self.stored[step.outputs[0]] & self.members[key]

    def selections(self) -> Iterator[tuple[Step, int, int]]:
        """Each channel selection that is needed, once: the step before which it is, the tensor, what is taken."""
        seen: set[tuple[int, int]] = set()
        for step in reversed(self.living):
            for key in step.inputs:
                wanted = self.wants(step, key)
                if wanted and wanted != self.stored[key] and (key, wanted) not in seen:
                    seen.add((key, wanted))
                    yield step, key, wanted

    def taken(self, step: Step, key: int) -> np.ndarray:
        """Where in the whole tensor `key` the channels are that `step` takes, ascending."""
        return self.graph.positions(key, self.wants(step, key))

    def left(self, key: int) -> np.ndarray:
        """Where in the whole tensor `key` the channels are that it still has, ascending."""
        return self.graph.positions(key, self.stored[key])


def liveness(graph: ChannelGraph, read: Mapping[str, int]) -> Liveness:
    """Finds out what each tensor must store at least when the reader `name` reads just the identities `read[name]`.

    A tensor stores the union of what those who take it need; one that takes part in an addition stores
    every channel that anybody reads anywhere in the stream, so that no selection is needed on the way.
    A step whose result nobody needs reads nothing: dead code is found by repeating until nothing changes.

    Args:
        graph: the graph of the whole model.
        read: the identities that each of its readers reads.
    """
    held = {step.layer.name: graph.takable(step, read[step.layer.name]) for step in graph.steps if step.reads}
    # Each round finds fewer or as many living steps, so starting from all of them finds all that live.
    live = _live(Liveness(graph, {}, read, held, graph.steps))
    while True:
        alive = _backward(graph, read, held, live)
        still_live = _live(alive)
        if still_live == live:
            return alive
        live = still_live


def _backward(graph: ChannelGraph, read: Mapping[str, int], held: Mapping[str, int], live: int) -> Liveness:
    """One pass from the outputs to the inputs, given which identities are read anywhere."""
    needed = {key: ids if key in graph.outputs else 0 for key, ids in graph.members.items()}
    tied: set[int] = set()
    stored: dict[int, int] = {}
    living: list[Step] = []
    alive = Liveness(graph, stored, read, held, living)
    for step in reversed(graph.steps):
        is_needed = any(needed[key] for key in step.outputs)
        if is_needed and step.merges:
            tied.update(step.inputs, step.outputs)
        for key in step.outputs:
            stored[key] = _all_stored(graph, key, needed[key], live if key in tied else 0)
        if is_needed:
            living.append(step)
            for key in step.inputs:
                needed[key] |= alive.wants(step, key)
    return alive


def _all_stored(graph: ChannelGraph, key: int, needed: int, tied: int) -> int:
    if not needed:
        return needed
    return graph.members[key] if key in graph.fixed else needed | (tied & graph.members[key])


def _live(alive: Liveness) -> int:
    """The identities that a living reader, a layer without a rule, or the caller of the model reads."""
    wanted = [alive.members[key] for key in alive.graph.outputs]
    for step in alive.living:
        if step.rule is None or step.reads:
            wanted += [alive.wants(step, key) for key in step.inputs]
    return functools.reduce(operator.or_, wanted)
