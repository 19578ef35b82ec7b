"""Numbers of channels."""

from __future__ import annotations


def num_kept(num_channels: int, share: float) -> int:
    """Number of channels for a share of `num_channels`: rounded down, at least one."""
    # The small number compensates for rounding errors, as in 10 * (1 - 0.9), and for searches whose candidates are
    # slightly below the budget.
    return max(1, int(num_channels * share + 1e-6))
