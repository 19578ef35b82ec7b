"""Numbers of channels."""

from __future__ import annotations


def num_kept(num_channels: int, share: float, multiple: int = 1) -> int:
    """Number of channels for a share of `num_channels`: rounded down, at least one.

    With a `multiple` above 1, the number is rounded to the nearest multiple of it, of at least one and at most all.

    >>> num_kept(18, 0.6), num_kept(18, 0.6, multiple=4), num_kept(18, 0.05, multiple=4), num_kept(3, 0.5, multiple=4)
    (10, 12, 4, 3)
    """
    # The small number compensates for rounding errors, as in 10 * (1 - 0.9), and for searches whose candidates are
    # slightly below the budget.
    count = max(1, int(num_channels * share + 1e-6))
    if multiple > 1:
        count = max(multiple, int(count / multiple + 0.5) * multiple)
    return min(count, num_channels)
