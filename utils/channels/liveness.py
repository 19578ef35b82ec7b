"""Liveness analysis of channels: the channels of each tensor that are needed, given those that are read.

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
    """The remaining channels of a graph.

    Attributes:
        graph: the graph of the whole model.
        stored: tensor -> its remaining identities; none if the tensor is unused.
        read: reader -> the identities for which it still has weights.
        held: reader -> the identities of its input; weights for those that it does not read are zero.
        living: the steps whose outputs are used, from the outputs to the inputs.
    """

    graph: ChannelGraph
    stored: Mapping[int, int]
    read: Mapping[str, int]
    held: Mapping[str, int]
    living: Sequence[Step]

    @property
    def members(self) -> Mapping[int, int]:
        """Tensor -> its identities in the whole model."""
        return self.graph.members

    def is_alive(self, step: Step) -> bool:
        """Whether an output of `step` is used."""
        return any(self.stored[key] for key in step.outputs)

    def required(self, step: Step, key: int) -> int:
        """The identities of its input `key` that `step` takes; none if it is not alive."""
        if step.rule is None:
            return self.members[key]
        if step.reads:
            return self.held[step.layer.name]
        return self.stored[step.outputs[0]] & self.members[key]

    def selections(self) -> Iterator[tuple[Step, int, int]]:
        """Each required channel selection, once: (the step behind it, its input tensor, the selected identities)."""
        seen: set[tuple[int, int]] = set()
        for step in reversed(self.living):
            for key in step.inputs:
                wanted = self.required(step, key)
                if wanted and wanted != self.stored[key] and (key, wanted) not in seen:
                    seen.add((key, wanted))
                    yield step, key, wanted

    def taken(self, step: Step, key: int) -> np.ndarray:
        """Indices, ascending, in the original tensor `key` of the channels that `step` takes."""
        return self.graph.positions(key, self.required(step, key))

    def left(self, key: int) -> np.ndarray:
        """Indices, ascending, in the original tensor `key` of its remaining channels."""
        return self.graph.positions(key, self.stored[key])


def liveness(graph: ChannelGraph, read: Mapping[str, int]) -> Liveness:
    """Computes the least channels that each tensor must store if the reader `name` reads the identities `read[name]`.

    A tensor stores the union of the channels that its consumers need; an operand of an addition stores every
    channel that is read anywhere in the stream, so that no selection is needed within the stream.
    A step whose output is unused reads nothing: the pass is repeated until the set of living steps is stable.

    Args:
        graph: the graph of the whole model.
        read: the identities that each of its readers reads.
    """
    held = {step.layer.name: graph.takable(step, read[step.layer.name]) for step in graph.steps if step.reads}
    # The set of living steps never grows, so starting from all steps gives the greatest fixed point.
    live = _live(Liveness(graph, {}, read, held, graph.steps))
    while True:
        alive = _backward(graph, read, held, live)
        still_live = _live(alive)
        if still_live == live:
            return alive
        live = still_live


def _backward(graph: ChannelGraph, read: Mapping[str, int], held: Mapping[str, int], live: int) -> Liveness:
    """One pass from the outputs to the inputs, given the identities that are read anywhere."""
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
            stored[key] = graph.makable(step, _all_stored(graph, key, needed[key], live if key in tied else 0))
        if is_needed:
            living.append(step)
            for key in step.inputs:
                needed[key] |= alive.required(step, key)
    return alive


def _all_stored(graph: ChannelGraph, key: int, needed: int, tied: int) -> int:
    if not needed:
        return needed
    return graph.members[key] if key in graph.fixed else needed | (tied & graph.members[key])


def _live(alive: Liveness) -> int:
    """The identities read by a living reader, by a layer without a rule, or by the caller of the model."""
    wanted = [alive.members[key] for key in alive.graph.outputs]
    for step in alive.living:
        if step.rule is None or step.reads:
            wanted += [alive.required(step, key) for key in step.inputs]
    return functools.reduce(operator.or_, wanted)
