"""Placement of channel selections with the fewest multiply-adds.

If a reader needs fewer channels than a tensor stores, they can be selected directly before the reader or before any
layer in between that passes channels on (a pooling, a depthwise convolution), or the reader takes all stored channels,
with zero weights for the dropped ones. Selecting w of s channels costs s * w multiply-adds per position; a reader with
zeros costs the multiply-adds of its additional channels. The cheapest option is used; of options of equal cost one
without a selection, else the one nearest to the layer that makes the channels.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping

from pocketflow.utils.channels.call_costs import CallCosts
from pocketflow.utils.channels.identities import ChannelGraph, Step
from pocketflow.utils.channels.liveness import Liveness, liveness

UNITS = 1 << 16
"""Greater than the number of selections of any model."""


def channels_left(graph: ChannelGraph, read: Mapping[str, int], costs: CallCosts | None = None) -> Liveness:
    """The remaining channels of a graph in which the reader `name` reads just the identities `read[name]`.

    Args:
        graph: the graph of the whole model.
        read: bit sets of identities, of all readers.
        costs: those of the graph, for callers that call this repeatedly.
    """
    return _placed(liveness(graph, read), costs or CallCosts(graph))


def _placed(needed: Liveness, costs: CallCosts) -> Liveness:
    """The stored channels of each tensor and the input of each reader with the cheapest placement of selections.

    The result never takes more multiply-adds than the model in which all readers read all channels.

    Args:
        needed: the least channels that each tensor must store.
        costs: those of the same graph.
    """
    if next(needed.selections(), None) is None:
        return needed
    cheapest = _Placement(needed, costs).run()
    if not any(step.joins for step in needed.living):
        return cheapest
    # Costs behind a concatenation are estimated for each part separately, which is not exact, so the total is compared
    # with that of the placement without optional selections.
    simplest = _Placement(needed, costs, takes_all=True).run()
    return min(cheapest, simplest, key=lambda alive: _total(alive, costs))


def _total(alive: Liveness, costs: CallCosts) -> int:
    calls = (step for step in alive.living if step.rule is not None and len(step.inputs) == 1)
    selected = sum(costs.select(key, alive.stored[key], wanted) for _, key, wanted in alive.selections())
    return selected + sum(
        costs.call(step, alive.required(step, step.inputs[0]), alive.stored[step.outputs[0]]) for step in calls
    )


class _Placement:
    """Decides, in one pass from the inputs to the outputs, which channels each tensor stores.

    Args:
        needed: see `_placed`.
        costs: see `_placed`.
        takes_all: whether selections are avoided wherever possible, regardless of cost.
    """

    def __init__(self, needed: Liveness, costs: CallCosts, takes_all: bool = False) -> None:
        self._needed, self._costs, self._takes_all = needed, costs, takes_all
        self._graph, self._members, self._need = needed.graph, needed.members, needed.stored
        self._stored, self._held = dict(needed.stored), dict(needed.held)
        self._consumers = _consumers(needed)
        self._extras: dict[tuple[int, int], int] = {}
        self._paid: set[tuple[int, int]] = set()

    def run(self) -> Liveness:
        for step in reversed(self._needed.living):
            if step.reads:
                self._place_reader(step)
            elif step.passes:
                self._place_pass(step)
            elif step.joins:
                self._place_join(step)
            for key in step.inputs:
                self._paid.add((key, self._required(step, key)))
        return dataclasses.replace(self._needed, stored=self._stored, held=self._held)

    def _required(self, step: Step, key: int) -> int:
        if step.reads:
            return self._held[step.layer.name]
        return self._members[key] if step.rule is None else self._stored[step.outputs[0]] & self._members[key]

    def _select(self, key: int, wanted: int) -> int:
        """Cost of a selection; steps that select the same channels share it."""
        return 0 if (key, wanted) in self._paid else self._selection(key, self._stored[key], wanted)

    def _selection(self, key: int, stored: int, wanted: int) -> int:
        """Multiply-adds times a constant, plus 1 per selection: of equal costs, fewer selections win."""
        return 0 if stored == wanted else self._costs.select(key, stored, wanted) * UNITS + 1

    def _call(self, step: Step, taken: int, made: int) -> int:
        return self._costs.call(step, taken, made) * UNITS

    def _place_reader(self, step: Step) -> None:
        key, name, made = step.inputs[0], step.layer.name, self._need[step.outputs[0]]
        stored, read = self._stored[key], self._held[name]
        if stored == read or self._graph.takable(step, stored) != stored:
            return
        selected = self._select(key, read) + self._call(step, read, made)
        if self._takes_all or self._call(step, stored, made) <= selected:
            self._held[name] = stored

    def _place_pass(self, step: Step) -> None:
        (key,), (result,) = step.inputs, step.outputs
        stored, need = self._stored[key], self._need[result]
        if stored == need:
            return
        selected = self._select(key, need) + self._call(step, need, need)
        if self._takes_all or self._call(step, stored, stored) + self._extra(result, stored) < selected:
            self._stored[result] = stored

    def _place_join(self, step: Step) -> None:
        (result,) = step.outputs
        for key in dict.fromkeys(step.inputs):
            now = self._stored[result]
            wider = now | self._stored[key]
            if wider == now or not self._can_store(step, wider):
                continue
            if self._takes_all or self._join_cost(step, wider) < self._join_cost(step, now):
                self._stored[result] = wider

    def _can_store(self, step: Step, ids: int) -> bool:
        return not any(ids & self._members[key] & ~self._stored[key] for key in step.inputs)

    def _join_cost(self, step: Step, ids: int) -> int:
        parts = [self._select(key, ids & self._members[key]) for key in dict.fromkeys(step.inputs)]
        return sum(parts) + self._extra(step.outputs[0], ids)

    def _extra(self, key: int, stored: int) -> int:
        """The increase of all costs behind the tensor `key` if it stores more than is needed."""
        need = self._need[key]
        if stored == need:
            return 0
        known = self._extras.get((key, stored))
        if known is None:
            known = sum(
                [self._least(step, key, stored) - self._least(step, key, need) for step in self._consumers[key]]
            )
            self._extras[key, stored] = known
        return known

    def _least(self, step: Step, key: int, stored: int) -> int:
        """The least cost of `step` as a consumer of the tensor `key`, plus the increase of the costs behind it."""
        if step.reads:
            read, made = self._needed.held[step.layer.name], self._need[step.outputs[0]]
            selected = self._selection(key, stored, read) + self._call(step, read, made)
            if self._graph.takable(step, stored) != stored:
                return selected
            return min(selected, self._call(step, stored, made))
        if step.rule is None:
            return self._selection(key, stored, self._members[key])
        (result,) = step.outputs
        need = self._need[result]
        wanted = need & self._members[key]
        own = self._call(step, wanted, need) if step.passes else 0
        selected = self._selection(key, stored, wanted) + own
        if stored == wanted or not (step.passes or step.joins):
            return selected
        own = self._call(step, stored, stored) if step.passes else 0
        return min(selected, own + self._extra(result, need | stored))


def _consumers(alive: Liveness) -> Mapping[int, list[Step]]:
    """Tensor -> the living steps that take any of its channels."""
    consumers: dict[int, list[Step]] = collections.defaultdict(list)
    for step in alive.living:
        for key in dict.fromkeys(step.inputs):
            if alive.required(step, key):
                consumers[key].append(step)
    return consumers
