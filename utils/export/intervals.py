"""How sure a ratio of two medians is, from measurements that were taken by turns.

Both sides of a round are measured within moments of each other, so whatever slows the machine down for a while slows
both: the ratio of a round is far steadier than either time. The interval for the median of these ratios is that of the
sign test (Conover, Practical Nonparametric Statistics, section 3.2), which assumes nothing of their distribution, but
that they are independent. Those of neighbouring rounds are not, where the scheduler of a busy machine favours one side
for a while, so the test is made on blocks of rounds (Law, Simulation Modeling and Analysis, "batch means").
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binom

Interval = tuple[float, float]

CONFIDENCE = 0.99
"""Of an interval; more than the usual 0.95 since measuring goes on, and is looked at again, until it is narrow."""

BLOCKS = 8
"""Into so many blocks rounds are put: the fewest for which the sign test gives an interval of that confidence, so that
blocks are as long as possible."""

NARROW = 1.1
"""An interval is narrow if its ends differ by at most this factor."""


def interval_rank(count: int, confidence: float = CONFIDENCE) -> int | None:
    """Which of `count` sorted values, from 0 on, bounds their distribution's median below (and, from the end, above).

    The median lies outside if at most so many of the values lie on one side of it, each by chance of 1/2:
    `2 P(Binomial(count, 1/2) <= rank) <= 1 - confidence`.

    Returns:
      The greatest such rank; `None` if the values are too few for any interval.

    >>> interval_rank(10, 0.95), interval_rank(5, 0.95)
    (1, None)
    """
    tail = (1 - confidence) / 2
    rank = int(binom.ppf(tail, count, 0.5))
    rank -= binom.cdf(rank, count, 0.5) > tail
    return rank if rank >= 0 else None


def median_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval | None:
    """Where the median of the values' distribution is with at least this confidence; `None` if they are too few."""
    rank = interval_rank(len(values), confidence)
    if rank is None:
        return None
    ordered = sorted(values)
    return float(ordered[rank]), float(ordered[-1 - rank])


def block_medians(values: Sequence[float], count: int = BLOCKS) -> list[float]:
    """The median of each of `count` runs of neighbours, of nearly equal length; fewer values stay as they are.

    >>> block_medians([1, 2, 9, 4, 5, 6], 2)
    [2.0, 5.0]
    """
    return [float(np.median(block)) for block in np.array_split(values, min(count, len(values)) or 1) if len(block)]


def speedup_interval(
    reference: Sequence[float], other: Sequence[float], confidence: float = CONFIDENCE
) -> Interval | None:
    """How many times faster the other is: the interval of the median ratio.

    Args:
      reference, other: times of the same rounds, in order.
      confidence: of the interval.
    """
    return median_interval(
        block_medians([before / after for before, after in zip(reference, other, strict=True)]), confidence
    )


def is_narrow(interval: Interval | None) -> bool:
    """Whether an interval says enough to stop measuring."""
    return interval is not None and interval[1] <= NARROW * interval[0]


def around(interval: Interval | None, value: float) -> Interval | None:
    """The interval, made to include the ratio that is shown: that of the medians of all calls of all rounds."""
    return None if interval is None else (min(interval[0], value), max(interval[1], value))
