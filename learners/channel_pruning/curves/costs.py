"""What a network costs for the numbers of channels of its groups, and the terms of this cost for an integer program."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import tf_keras as keras

from pocketflow.hp_optimizer.integer_program import Term, merged
from pocketflow.learners.channel_pruning.curves.groups import Group
from pocketflow.utils.channels import ChannelGraph
from pocketflow.utils.costs.layer_sizes import Call, CallCost, LayerSizes, Sizes, total_cost

KINDS: Mapping[str, tuple[Callable[[LayerSizes], CallCost], str]] = {
    'macs': (lambda sizes: sizes.macs, 'multiply-adds'),
    'parameters': (lambda sizes: sizes.parameters, 'parameters'),
    'bytes': (lambda sizes: sizes.weight_bytes, 'bytes of the float32 weights'),
}
"""Kinds of budgets: the cost of a call, and the name of the unit."""


class GroupCosts:
    """The cost of pruned networks.

    Args:
      model: the full model, or its channel graph.
      groups: the groups by name.
      cost_of: makes the cost of a call from the sizes: one of `KINDS`, or any function of a call, its number of inputs
        and its number of outputs, such as milliseconds of a table.
    """

    def __init__(
        self,
        model: keras.Model | ChannelGraph,
        groups: Mapping[str, Group],
        cost_of: Callable[[LayerSizes], CallCost] = KINDS['macs'][0],
    ):
        self._sizes, self.groups = LayerSizes(model), groups
        self._cost = functools.lru_cache(maxsize=None)(cost_of(self._sizes))

    def total(self, counts: Mapping[str, int]) -> float:
        """The exact cost of the network without all channels that become unread.

        Args:
          counts: group -> number of chosen channels; groups that are not named keep all.
        """
        return total_cost(self._sizes_of(counts), self._cost)

    def terms(self, levels: Mapping[str, Sequence[int]]) -> list[Term]:
        """Terms whose sum is the cost for any of these numbers of channels.

        The numbers of channels of each call are taken from networks with one pruned group. The sum is exact if the
        inputs of each call depend on one group, and so do its outputs, as with one group per stream. Otherwise the
        changes of a call's cost by several groups are added, which is an approximation.

        Args:
          levels: group -> numbers of chosen channels.
        """
        whole = self._sizes_of({})
        pruned = {name: [self._sizes_of({name: count}) for count in counts] for name, counts in levels.items()}
        calls = dict.fromkeys([*whole, *(call for sizes in pruned.values() for each in sizes for call in each)])
        return merged([term for call in calls for term in self._call_terms(call, whole, pruned)])

    def _call_terms(self, call: Call, whole: Sizes, pruned: Mapping[str, Sequence[Sizes]]) -> Iterable[Term]:
        affecting = [name for name, sizes in pruned.items() if any(each.get(call) != whole.get(call) for each in sizes)]
        is_certain = all(call in each for name in affecting for each in pruned[name]) and call in whole
        by_side = [
            [name for name in affecting if any(each[call][side] != whole[call][side] for each in pruned[name])]
            if is_certain
            else affecting
            for side in (0, 1)
        ]
        if not affecting:
            yield Term((), np.array(self._of_call(call, whole)))
        elif is_certain and len(affecting) == 2 and [*map(len, by_side)] == [1, 1]:
            (inner,), (outer,) = by_side
            table = [[self._cost(call, one[call][0], two[call][1]) for two in pruned[outer]] for one in pruned[inner]]
            yield Term((inner, outer), np.array(table))
        else:
            constant = self._of_call(call, whole)
            yield Term((), np.array(constant))
            for name in affecting:
                yield Term((name,), np.array([self._of_call(call, each) - constant for each in pruned[name]]))

    def _of_call(self, call: Call, sizes: Sizes) -> float:
        return self._cost(call, *sizes[call]) if call in sizes else 0.0

    def _sizes_of(self, counts: Mapping[str, int]) -> Sizes:
        kept: dict[str, list[int]] = {}
        for name, count in counts.items():
            kept |= self.groups[name].kept(count)
        return self._sizes.of(kept)
