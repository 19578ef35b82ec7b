"""Projections of candidates onto a budget.

Pure functions. Costs are monotone in the values, rising (bits, preserved channels) or falling (sparsity); `dearest`
and `cheapest` are the bounds of a layer's range with the highest and the lowest cost.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# The cost of a projected real-valued candidate lies within this relative tolerance below the budget, if the cost is
# continuous and the bounds of the layers allow it.
TOLERANCE = 1e-6
_MAX_TURNS = 100

TotalCost = Callable[[np.ndarray], float]
# (values, layer, its next value) -> increase of the total cost
StepCost = Callable[[np.ndarray, int, float], float]


def is_affordable(cost: float, budget: float) -> bool:
    """Whether a cost is within the budget, up to rounding errors (1e-9 of the budget)."""
    return cost <= budget + 1e-9 * abs(budget)


def largest_affordable(cost: Callable[[float], float], budget: float, low: float, high: float) -> float:
    """A number in [low, high] at which a rising cost uses the budget: within `TOLERANCE`, never above it.

    Alternates regula falsi and bisection: few evaluations for smooth costs, and convergence for step functions. If the
    cost jumps over the budget, the result is the largest number before the jump. `low` is assumed to be affordable.
    """
    cost_low, cost_high = cost(low), cost(high)
    if is_affordable(cost_high, budget):
        return high
    for turn in range(_MAX_TURNS):
        if cost_low >= budget - 0.5 * TOLERANCE * abs(budget) or high - low <= 1e-12 * max(abs(low), abs(high)):
            break
        # Aims inside the tolerance interval: exactly at the budget, rounding errors would decide.
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
    with the slopes of linear costs as weights it is the nearest affordable candidate (the Euclidean projection onto the
    intersection of a half-space and a box): values of layers of low cost change little, those of large layers most.

    Args:
      values: real numbers `[L]`.
      cheapest, dearest: bounds of the layers' ranges `[L]`; the candidate of all cheapest values must be affordable.
      weights: relative change per layer, > 0, `[L]`.
      total_cost, budget: cost function and budget of the whole network.

    Returns:
      Values `[L]`; unchanged if they already use the budget within `TOLERANCE`.
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
    """Rounds real `values` `[L]` to whole numbers that are affordable and of which none can be made one step dearer.

    Rounds all values towards lower cost; then, in the order of the rounding residuals, makes one layer after another
    one step dearer while the budget allows it. `step_cost`: a faster function for the cost of a step, if there is one.
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
