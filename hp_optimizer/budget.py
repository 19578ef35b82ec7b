"""Keeping a budget: projections onto it.

Pure functions. A value may buy accuracy with cost (bits, preserved channels) or save cost (sparsity): costs are
monotone in the values, in either direction, and `dearest` / `cheapest` name the ends of a layer's range by their cost.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# The cost of a real-valued candidate is at most the budget, and less by no more than this share of it, where the cost
# is continuous and the bounds of the layers allow it.
TOLERANCE = 1e-6
_MAX_TURNS = 100

TotalCost = Callable[[np.ndarray], float]
# (values, layer, its next value) -> by how much that raises the total cost
StepCost = Callable[[np.ndarray, int, float], float]


def is_affordable(cost: float, budget: float) -> bool:
    """Whether a cost is within the budget, rounding errors of the sum (1e-9 of it) aside."""
    return cost <= budget + 1e-9 * abs(budget)


def largest_affordable(cost: Callable[[float], float], budget: float, low: float, high: float) -> float:
    """A number in [low, high] at which a rising cost uses the budget: within `TOLERANCE`, and never above it.

    Regula falsi and bisection in turns: few evaluations where the cost is smooth, and safe where it has steps; where
    it jumps over the budget, the result is the largest number before the jump. `low` is taken for affordable.
    """
    cost_low, cost_high = cost(low), cost(high)
    if is_affordable(cost_high, budget):
        return high
    for turn in range(_MAX_TURNS):
        if cost_low >= budget - 0.5 * TOLERANCE * abs(budget) or high - low <= 1e-12 * max(abs(low), abs(high)):
            break
        # Aims at the middle of what is tolerated: exactly at the budget, rounding errors would decide.
        share = (budget * (1 - 0.25 * TOLERANCE) - cost_low) / (cost_high - cost_low) if turn % 2 == 0 else 0.5
        middle = low + min(max(share, 0.0), 1.0) * (high - low)
        cost_middle = cost(middle)
        if is_affordable(cost_middle, budget):
            low, cost_low = middle, cost_middle
        else:
            high, cost_high = middle, cost_middle
    return low


def shift_to_budget(
    values: np.ndarray,
    cheapest: np.ndarray,
    dearest: np.ndarray,
    weights: np.ndarray,
    total_cost: TotalCost,
    budget: float,
) -> np.ndarray:
    """Moves all values in the direction of `weights`, within their bounds, until the budget is used.

    `clip(values + t * weights)` with the one `t` at which the budget is used. With weights of 1 that is a common shift;
    with weights that are the slopes of linear costs it is the nearest affordable candidate (the Euclidean projection
    onto a hyperplane and a box): what a layer of little cost was given stays, the large layers make room for it.

    Args:
      values: real numbers `[L]`.
      cheapest, dearest: the ends of the layers' ranges `[L]`; all at their cheapest must be affordable.
      weights: how far each layer moves, > 0, `[L]`.
      total_cost, budget: of the whole network.

    Returns:
      Values `[L]`; the same ones if they use the budget within `TOLERANCE` already.
    """
    low, high = np.minimum(cheapest, dearest), np.maximum(cheapest, dearest)
    kept = np.clip(values, low, high)
    if (
        np.array_equal(kept, values)
        and budget * (1 - TOLERANCE) <= total_cost(kept)
        and is_affordable(total_cost(kept), budget)
    ):
        return kept
    sign = 1.0 if np.sum(dearest - cheapest) >= 0 else -1.0
    reach = sign * np.stack([cheapest - values, dearest - values]) / weights

    def shifted(amount: float) -> np.ndarray:
        return np.clip(values + sign * amount * weights, low, high)

    first, last = float(reach[0].min()), float(reach[1].max())
    return shifted(largest_affordable(lambda amount: total_cost(shifted(amount)), budget, first, last))


def round_to_budget(
    values: np.ndarray,
    cheapest: np.ndarray,
    dearest: np.ndarray,
    total_cost: TotalCost,
    budget: float,
    step_cost: StepCost | None = None,
) -> np.ndarray:
    """Whole numbers near real `values` `[L]` that are affordable, and of which none can get one dearer.

    Rounds all towards cheap, then, in the order of what rounding took from them, makes one layer after another one
    step dearer as long as the budget allows, until it allows none. `step_cost`: a quicker way to what a step costs.
    """
    sign = np.sign(dearest - cheapest)
    whole = np.where(sign >= 0, np.floor(values + 1e-9), np.ceil(values - 1e-9))
    whole = np.clip(whole, np.minimum(cheapest, dearest), np.maximum(cheapest, dearest))
    step_cost = step_cost or (lambda at, layer, value: total_cost(_replaced(at, layer, value)) - total_cost(at))
    spent, is_changing = total_cost(whole), True
    while is_changing:
        is_changing = False
        for layer in np.argsort(-(values - whole) * sign, kind='stable'):
            if whole[layer] == dearest[layer]:
                continue
            dearer = whole[layer] + sign[layer]
            rise = step_cost(whole, layer, dearer)
            if is_affordable(spent + rise, budget):
                whole[layer], spent, is_changing = dearer, spent + rise, True
    return whole


def _replaced(values: np.ndarray, place: int, value: float) -> np.ndarray:
    changed = values.copy()
    changed[place] = value
    return changed
