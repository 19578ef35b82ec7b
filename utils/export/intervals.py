"""Confidence intervals for speed-ups, from alternating measurements.

Both times of a round are measured shortly after each other, so that load on the machine affects both, and the ratio
varies far less than either time. The interval for the median of these ratios is that of the sign test (Conover,
Practical Nonparametric Statistics, section 3.2), which assumes independence but no particular distribution. Ratios of
neighbouring rounds are correlated on a busy machine, so the test is applied to blocks of rounds (Law, Simulation
Modeling and Analysis, "batch means").
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binom

Interval = tuple[float, float]

CONFIDENCE = 0.99
"""Confidence of an interval; above the usual 0.95, because it is tested repeatedly while measurements are added."""

BLOCKS = 8
"""Number of blocks: the least for which the sign test gives an interval of that confidence, so that blocks are as long
as possible."""

NARROW = 1.1
"""An interval is narrow if its ends differ by at most this factor."""


def interval_rank(count: int, confidence: float = CONFIDENCE) -> int | None:
    """Zero-based rank among `count` sorted values of the lower bound (and, from the end, the upper) of the median.

    The greatest rank with `2 P(Binomial(count, 1/2) <= rank) <= 1 - confidence`, the probability that the interval
    does not contain the median.

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
    """The median of each of `count` consecutive blocks of nearly equal length; fewer values are returned unchanged.

    >>> block_medians([1, 2, 9, 4, 5, 6], 2)
    [2.0, 5.0]
    """
    return [float(np.median(block)) for block in np.array_split(values, min(count, len(values)) or 1) if len(block)]


def speedup_interval(
    reference: Sequence[float], other: Sequence[float], confidence: float = CONFIDENCE
) -> Interval | None:
    """Confidence interval of the median speed-up `reference / other`.

    Args:
      reference, other: times of the same rounds, in order.
      confidence: of the interval.
    """
    return median_interval(
        block_medians([before / after for before, after in zip(reference, other, strict=True)]), confidence
    )


def is_narrow(interval: Interval | None) -> bool:
    """Whether an interval is narrow enough to stop measuring."""
    return interval is not None and interval[1] <= NARROW * interval[0]


def around(interval: Interval | None, value: float) -> Interval | None:
    """The interval, extended to contain `value`, the reported ratio of the medians of all calls."""
    return None if interval is None else (min(interval[0], value), max(interval[1], value))
