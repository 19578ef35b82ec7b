"""One level for each group, with the least sum of losses under a budget: an integer program.

The cost of a network is a sum of terms, each of which depends on the levels of one or two groups: the cost of a layer
depends on the number of its inputs and the number of its outputs. With a binary variable x[g, l] for each level l of a
group g, a term of two groups g and h has a variable y[l, m] >= 0 for each pair of levels, with

    sum over m of y[l, m] = x[g, l],    sum over l of y[l, m] = x[h, m],

so that y[l, m] = x[g, l] * x[h, m] for all binary x: the program is exact. It is solved by HiGHS
(`scipy.optimize.milp`).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import scipy.optimize
import scipy.sparse

GAP = 1e-3
"""The sum of losses is within this share of the least one."""
NODES = 20_000
"""Limit of the search tree; a number of nodes, not of seconds, so that the result does not depend on the machine."""
FEASIBLE = 1e-9
"""Relative difference up to which a cost that exceeds the budget counts as rounding."""


@dataclasses.dataclass(frozen=True)
class Term:
    """A part of the cost.

    Attributes:
      groups: none, for a constant, or one or two different groups.
      table: the cost, with one axis `[levels]` for each group.
    """

    groups: tuple[str, ...]
    table: np.ndarray


def cost_of(levels: Mapping[str, int], terms: Iterable[Term]) -> float:
    """The sum of the terms for the level of each group."""
    return float(sum(term.table[tuple(levels[name] for name in term.groups)] for term in terms))


def merged(terms: Iterable[Term]) -> list[Term]:
    """The same sum with one term for each group or pair of groups."""
    tables: dict[tuple[str, ...], np.ndarray] = {}
    for term in terms:
        is_sorted = list(term.groups) == sorted(term.groups)
        groups, table = (term.groups, term.table) if is_sorted else (term.groups[::-1], term.table.T)
        tables[groups] = tables[groups] + table if groups in tables else table
    return [Term(groups, table) for groups, table in tables.items()]


def least_loss(losses: Mapping[str, np.ndarray], terms: Sequence[Term], budget: float) -> dict[str, int] | None:
    """The level of each group with the least sum of losses whose cost is within the budget.

    Args:
      losses: group -> the loss of each of its levels, finite, `[levels]`.
      terms: of the cost.
      budget: the greatest cost.

    Returns:
      Group -> level; None if no choice is within the budget.
    """
    program = _Program(losses, merged(terms))
    result = scipy.optimize.milp(
        program.objective,
        integrality=program.integrality,
        bounds=scipy.optimize.Bounds(0, 1),
        constraints=program.constraints(budget),
        options={'mip_rel_gap': GAP, 'node_limit': NODES},
    )
    return None if result.x is None else program.levels(result.x)


class _Program:
    """The variables of the program: x of each group, then y of each term of two groups."""

    def __init__(self, losses: Mapping[str, np.ndarray], terms: Sequence[Term]):
        self._single = [term for term in terms if len(term.groups) == 1]
        self._constant = float(sum(term.table for term in terms if not term.groups))
        self._pairs = [term for term in terms if len(term.groups) == 2]
        sizes = [*(len(loss) for loss in losses.values()), *(term.table.size for term in self._pairs)]
        ends = np.cumsum([0, *sizes])
        places = [np.arange(begin, end) for begin, end in itertools.pairwise(ends)]
        self._x = dict(zip(losses, places, strict=False))
        self._y = [
            place.reshape(term.table.shape) for place, term in zip(places[len(losses) :], self._pairs, strict=True)
        ]
        self._size = int(ends[-1])
        self.objective = np.zeros(self._size)
        scale = max((float(np.abs(loss).max()) for loss in losses.values()), default=0.0) or 1.0
        for name, loss in losses.items():
            self.objective[self._x[name]] = loss / scale
        self.integrality = (np.arange(self._size) < ends[len(losses)]).astype(int)

    def constraints(self, budget: float) -> list[scipy.optimize.LinearConstraint]:
        cost = np.zeros(self._size)
        for term in self._single:
            cost[self._x[term.groups[0]]] += term.table
        for term, y in zip(self._pairs, self._y, strict=True):
            cost[y] = term.table
        scale, budget = abs(budget) or 1.0, budget - self._constant
        return [
            scipy.optimize.LinearConstraint(self._sums(), *self._totals()),
            scipy.optimize.LinearConstraint(cost[None] / scale, -np.inf, budget / scale * (1 + FEASIBLE)),
        ]

    def _sums(self) -> scipy.sparse.csr_array:
        """Rows of the equations: one level per group; and the sums of y over the levels of either group."""
        rows: list[tuple[np.ndarray, int | None]] = [(x, None) for x in self._x.values()]
        for term, y in zip(self._pairs, self._y, strict=True):
            for name, table in zip(term.groups, (y, y.T), strict=True):
                rows += [(table[level], int(place)) for level, place in enumerate(self._x[name])]
        ones = [np.concatenate([columns, [] if place is None else [place]]).astype(int) for columns, place in rows]
        values = [np.concatenate([np.ones(len(columns)), [] if place is None else [-1.0]]) for columns, place in rows]
        starts = np.cumsum([0, *map(len, ones)])
        return scipy.sparse.csr_array(
            (np.concatenate(values), np.concatenate(ones), starts), shape=(len(rows), self._size)
        )

    def _totals(self) -> tuple[np.ndarray, np.ndarray]:
        totals = np.zeros(len(self._x) + sum(sum(term.table.shape) for term in self._pairs))
        totals[: len(self._x)] = 1
        return totals, totals

    def levels(self, solution: np.ndarray) -> dict[str, int]:
        return {name: int(np.argmax(solution[x])) for name, x in self._x.items()}
