"""Valid depths of residual networks."""

from __future__ import annotations

from pocketflow.utils.errors import UsageError

BLOCKS_OF_GROUPS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}
"""Number of layers of a network for images of ImageNet's size -> number of blocks in each of its groups."""


def blocks_per_group(size: int) -> int:
    """The number of blocks per group, n, of a network of 6n + 2 layers; raises a `UsageError` for other sizes."""
    if size < 8 or (size - 2) % 6:
        raise UsageError(f'--resnet_size={size}: must be 6n + 2 with n >= 1, as in 8, 14, 20, 32, 44, 56, 110')
    return (size - 2) // 6


def blocks_of_groups(size: int) -> tuple[int, ...]:
    """The numbers of blocks of a network for images of ImageNet's size; raises a `UsageError` for unknown sizes."""
    if size not in BLOCKS_OF_GROUPS:
        raise UsageError(f'--resnet_size={size}: must be one of {", ".join(map(str, BLOCKS_OF_GROUPS))}')
    return BLOCKS_OF_GROUPS[size]


def has_bottlenecks(size: int) -> bool:
    """Whether the blocks have three convolutions (1 x 1, 3 x 3, 1 x 1) instead of two."""
    return size >= 50
