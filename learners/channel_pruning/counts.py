"""Numbers of channels."""

from __future__ import annotations

import math


def num_kept(num_channels: int, share: float, multiple: int = 1) -> int:
    """Number of channels for a share of `num_channels`: the nearest, of two as near the smaller, at least one.

    With a `multiple` above 1, the number is rounded to the nearest multiple of it, of at least one and at most all.

    >>> num_kept(18, 0.6), num_kept(18, 0.6, multiple=4), num_kept(18, 0.05, multiple=4), num_kept(3, 0.5, multiple=4)
    (11, 12, 4, 3)
    """
    if multiple > 1:
        return min(num_channels, max(multiple, int(num_channels * share / multiple + 0.5) * multiple))
    # The small number makes halves equal that rounding errors have made different.
    return max(1, math.ceil(num_channels * share - 0.5 - 1e-6))
