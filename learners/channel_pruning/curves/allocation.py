"""The shares of channels of all groups within a budget, from sensitivity curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pocketflow.hp_optimizer.integer_program import cost_of, least_loss
from pocketflow.learners.channel_pruning.curves.costs import GroupCosts
from pocketflow.learners.channel_pruning.curves.curves import Curves
from pocketflow.utils.errors import UsageError

LEVELS = 16
"""Shares are multiples of 1/16 of a group, from the least measured one on; the curves are interpolated."""
FILLING = (LEVELS, 2 * LEVELS, 4 * LEVELS, 8 * LEVELS)
"""Finer and finer levels, with which the program's rest of the budget is used."""
ROUNDS = 8
"""Corrections of a cost that is not a sum of terms of two groups."""
CLOSE = 2e-3
"""A cost this close below the budget, relative to it, is not corrected any more."""

Counts = dict[str, int]


def shares_within(
    curves: Curves, costs: GroupCosts, budget: float, method: str = 'program', multiple: int = 1
) -> dict[str, float]:
    """Reader -> the share of its channels to keep, such that the cost of the network is within a budget.

    Args:
      curves: of the network.
      costs: of the network and the groups of the curves.
      budget: the greatest cost, in the unit of `costs`.
      method: 'sensitive': the same allowed drop of the primary metric for every group, the smallest with which the cost
        is within the budget, as the sensitivity pruner of PaddleSlim; 'program': the shares with the least sum of the
        rises of the loss, by an integer program.
      multiple: numbers of channels are multiples of this.

    Returns:
      The shares of all readers of the curves.

    Raises:
      UsageError: the budget cannot be reached.
    """
    levels = levels_of(curves, multiple)
    least = costs.total({name: counts[0] for name, counts in levels.items()})
    most = costs.total({})
    if budget < least:
        raise UsageError(
            f'out of reach: with {len(levels)} groups of layers that keep {least_share(curves):.3g} to all of their '
            f'channels, the network keeps {least / most:.4g} to 1 of its cost, {least:,.0f} to {most:,.0f}; '
            f'given: {budget / most:.4g}'
        )
    if budget >= most:
        counts = {name: group.size for name, group in curves.groups.items()}
    elif method == 'sensitive':
        counts = _sensitive(curves, costs, budget, levels)
    else:
        counts = _by_program(curves, costs, budget, levels, multiple)
    return {reader: counts[name] / group.size for name, group in curves.groups.items() for reader in group.ranks}


def least_share(curves: Curves) -> float:
    """The least measured share of channels."""
    return min(min(curve.points) / curve.group.size for curve in curves)


def levels_of(curves: Curves, multiple: int = 1, num_levels: int = LEVELS) -> dict[str, list[int]]:
    """Group -> the numbers of channels to choose from, ascending, at least that of the first measured point."""
    shares = [level / num_levels for level in range(1, num_levels + 1)]
    return {
        curve.group.name: [count for count in curve.group.counts(shares, multiple) if count >= min(curve.points)]
        for curve in curves
    }


def _sensitive(curves: Curves, costs: GroupCosts, budget: float, levels: Mapping[str, Sequence[int]]) -> Counts:
    """Bisection on the allowed drop of the metric."""
    drops = {curve.group.name: curve.drops(curves.whole, levels[curve.group.name], curves.metric) for curve in curves}

    def counts(allowed: float) -> Counts:
        return {name: levels[name][int(np.argmax(drop <= allowed))] for name, drop in drops.items()}

    return _least_allowed(drops, counts, costs, budget)


def _least_allowed(
    drops: Mapping[str, np.ndarray], counts: Callable[[float], Counts], costs: GroupCosts, budget: float
) -> Counts:
    candidates = np.unique(np.concatenate(list(drops.values())))
    too_small, enough = -1, len(candidates) - 1
    while enough - too_small > 1:
        middle = (too_small + enough) // 2
        if costs.total(counts(candidates[middle])) <= budget:
            enough = middle
        else:
            too_small = middle
    return counts(candidates[enough])


def _by_program(
    curves: Curves, costs: GroupCosts, budget: float, levels: Mapping[str, Sequence[int]], multiple: int
) -> Counts:
    """The least loss by the integer program; where its cost is not exact, the budget it is given is corrected."""
    losses = _losses(curves, levels)
    terms = costs.terms(levels)
    best, target = _sensitive(curves, costs, budget, levels), budget
    least = _loss(best, losses, levels)
    for _ in range(ROUNDS):
        places = least_loss(losses, terms, target)
        if places is None:
            break
        counts = {name: levels[name][place] for name, place in places.items()}
        cost, loss = costs.total(counts), _loss(counts, losses, levels)
        if cost <= budget and loss <= least:
            best, least = counts, loss
        is_exact = abs(cost - cost_of(places, terms)) <= CLOSE * cost
        if cost <= budget and (is_exact or cost >= (1 - CLOSE) * budget):
            break
        target *= budget / cost * (1 - CLOSE / 2 * (cost > budget))
    for num_levels in FILLING:
        finer = levels_of(curves, multiple, num_levels)
        best = _filled(best, _losses(curves, finer), costs, budget, finer)
    return best


def _losses(curves: Curves, levels: Mapping[str, Sequence[int]]) -> dict[str, np.ndarray]:
    return {curve.group.name: curve.losses(curves.whole, levels[curve.group.name]) for curve in curves}


def _filled(
    counts: Counts,
    losses: Mapping[str, np.ndarray],
    costs: GroupCosts,
    budget: float,
    levels: Mapping[str, Sequence[int]],
) -> Counts:
    """The numbers raised level by level while the cost is within the budget: losses may be equal over levels."""
    while True:
        places = {name: levels[name].index(count) for name, count in counts.items()}
        raised = [
            (losses[name][place] - losses[name][place + 1], {**counts, name: levels[name][place + 1]})
            for name, place in places.items()
            if place + 1 < len(levels[name])
        ]
        fitting = [(gain, more) for gain, more in raised if costs.total(more) <= budget]
        if not fitting:
            return counts
        counts = max(fitting, key=lambda option: option[0])[1]


def _loss(counts: Counts, losses: Mapping[str, np.ndarray], levels: Mapping[str, Sequence[int]]) -> float:
    return float(sum(losses[name][levels[name].index(count)] for name, count in counts.items()))
