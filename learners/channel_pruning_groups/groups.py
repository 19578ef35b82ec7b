"""Groups of layers that are pruned one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def groups_of(streams: Iterable[Sequence[str]], size: int) -> list[list[str]]:
    """Groups of whole streams, in order, each with at least `size` layers except the last.

    Readers of one stream stay together, because channels that are read in another group could not be removed.

    Args:
      streams: the layers of each stream, ordered by their first layers.
      size: number of layers from which a group is full.

    >>> groups_of([['a'], ['b', 'c'], ['d'], ['e']], 2)
    [['a', 'b', 'c'], ['d', 'e']]
    """
    groups: list[list[str]] = [[]]
    for layers in streams:
        if len(groups[-1]) >= size:
            groups.append([])
        groups[-1] += layers
    return groups
