"""Valid depths of residual networks for small images."""

from __future__ import annotations

from pocketflow.utils.errors import UsageError


def blocks_per_group(size: int) -> int:
    """The number of blocks per group, n, of a network of 6n + 2 layers; raises a `UsageError` for other sizes."""
    if size < 8 or (size - 2) % 6:
        raise UsageError(f'--resnet_size={size}: must be 6n + 2 with n >= 1, as in 8, 14, 20, 32, 44, 56, 110')
    return (size - 2) // 6
