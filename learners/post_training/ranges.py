"""Ranges of activations from histograms of observed values: extremes, percentiles, or the least squared error.

Histograms are counts `[bins]` of equally wide bins between the least and the greatest observed value. A range is
(low, high), and includes zero, as an int8 tensor must.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]
Limits = tuple[float, float]

PERCENTILE = 99.99
"""Share of the values within the range of `percentile`, in percent."""
SHARES = np.linspace(0.2, 1.0, 33)
"""Ends of candidate ranges, as shares of the observed ends, for `least_squares`."""


def min_max(counts: Counts, extremes: Limits, bits: int = 8) -> Limits:
    """The observed extremes.

    >>> min_max(np.array([1, 2]), (0.5, 3.0))
    (0.0, 3.0)
    """
    return min(extremes[0], 0.0), max(extremes[1], 0.0)


def percentile(counts: Counts, extremes: Limits, bits: int = 8, share: float = PERCENTILE) -> Limits:
    """The range without the outermost values, half of `100 - share` percent of them at either end.

    If all values are of one sign, the other end is zero, and all are left out at the outer end.

    >>> percentile(np.array([5.0, 90.0, 5.0]), (-3.0, 3.0), share=90.0)
    (-1.0, 1.0)
    """
    low, high = min_max(counts, extremes)
    edges = np.linspace(*extremes, len(counts) + 1)
    outside = (1 - share / 100) * counts.sum() / (2 if low < 0 < high else 1)
    first = int(np.searchsorted(np.cumsum(counts), outside * (1 + 1e-9), 'right'))
    last = len(counts) - 1 - int(np.searchsorted(np.cumsum(counts[::-1]), outside * (1 + 1e-9), 'right'))
    if first > last:
        return low, high
    return max(low, min(float(edges[first]), 0.0)), min(high, max(float(edges[last + 1]), 0.0))


def least_squares(counts: Counts, extremes: Limits, bits: int = 8) -> Limits:
    """The candidate range with the least sum of squared errors of rounding and clipping.

    The candidates have ends at `SHARES` of the observed ends. All values of a bin count as its centre.
    """
    low, high = min_max(counts, extremes)
    edges = np.linspace(*extremes, len(counts) + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    lows, highs = (low * SHARES if low < 0 else np.zeros(1)), (high * SHARES if high > 0 else np.zeros(1))
    ends = np.stack(np.meshgrid(lows, highs, indexing='ij'), -1).reshape(-1, 2)
    errors = [squared_error(counts, centres, (float(first), float(last)), bits) for first, last in ends]
    first, last = ends[len(errors) - 1 - int(np.argmin(errors[::-1]))]  # the widest of equal ones
    return float(first), float(last)


def squared_error(counts: Counts, values: NDArray[np.float64], limits: Limits, bits: int) -> float:
    """The sum of squared errors if values are rounded to 2^bits points of a range.

    >>> squared_error(np.array([1.0, 2.0]), np.array([0.25, 2.0]), (0.0, 1.0), 1)
    2.0625
    """
    step = (limits[1] - limits[0]) / (2**bits - 1)
    if step <= 0:
        return float((counts * values**2).sum())
    least = np.round(limits[0] / step)
    rounded = np.clip(np.round(values / step), least, least + 2**bits - 1) * step
    return float((counts * (values - rounded) ** 2).sum())


METHODS: Mapping[str, Callable[[Counts, Limits, int], Limits]] = {
    'minmax': min_max,
    'percentile': percentile,
    'mse': least_squares,
}
"""Values of `--ptq_calibration`: `method(counts, extremes, bits)`."""
