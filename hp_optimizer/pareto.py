"""The Pareto front of candidates with a cost and a reward."""

from __future__ import annotations

import math
from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the non-dominated (cost, reward) pairs, by rising cost.

    A pair dominates another if its cost is not higher and its reward not lower, and one of the two differs; equal
    pairs do not dominate each other.

    >>> pareto_front([(3, 0.9), (1, 0.5), (2, 0.4), (2, 0.7)])
    [1, 3, 0]
    """
    front: list[int] = []
    most = (math.inf, -math.inf)
    for place in sorted(range(len(points)), key=lambda place: (points[place][0], -points[place][1], place)):
        cost, reward = points[place]
        if reward > most[1] or (cost, reward) == most:
            front.append(place)
            most = cost, reward
    return front
