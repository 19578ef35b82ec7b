"""What is worth considering of candidates that differ both in cost and in reward."""

from __future__ import annotations

import math
from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The indices of the (cost, reward) pairs that no other one beats, by rising cost.

    A pair beats another if it costs no more and earns no less, and one of the two is better; equal ones do not beat
    each other.

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
