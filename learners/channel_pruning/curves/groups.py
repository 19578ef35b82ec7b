"""Groups: layers whose channels are pruned together, with the order in which the channels go."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from pocketflow.learners.channel_pruning.counts import num_kept
from pocketflow.learners.channel_pruning.decisions import FLOOR
from pocketflow.utils.channels.streams import Stream

ALWAYS = -1
"""Rank of channels that are kept regardless of the choice, because others than the readers of the group need them."""


@dataclasses.dataclass(frozen=True)
class Group:
    """The readers of a stream with a common set of channels, or a single reader.

    Attributes:
      size: number of channels to choose from; for a grouped convolution, of each of its groups.
      ranks: reader -> the rank of each of its input channels: with `count` chosen channels, it keeps those whose ranks
        are below `count`.
    """

    size: int
    ranks: Mapping[str, tuple[int, ...]]

    @property
    def name(self) -> str:
        """The name of the first reader."""
        return next(iter(self.ranks))

    def kept(self, count: int) -> dict[str, list[int]]:
        """Reader -> the channels that it keeps, ascending, at least one, if `count` channels are chosen."""
        return {name: _kept(ranks, count) for name, ranks in self.ranks.items()}

    def counts(self, shares: Sequence[float], multiple: int = 1) -> list[int]:
        """The distinct numbers of chosen channels for some shares, ascending."""
        return sorted({num_kept(self.size, share, multiple) for share in shares})


def _kept(ranks: Sequence[int], count: int) -> list[int]:
    kept = [channel for channel, rank in enumerate(ranks) if rank < count]
    return kept or [min(range(len(ranks)), key=ranks.__getitem__)]


def single_group(name: str, order: np.ndarray, num_groups: int = 1) -> Group:
    """The group of one reader.

    Args:
      name: the reader.
      order: its channels, best first.
      num_groups: groups of a grouped convolution, each of which keeps equally many channels.

    >>> single_group('a', np.array([2, 0, 1])).ranks, single_group('a', np.array([3, 2, 0, 1]), num_groups=2).ranks
    ({'a': (1, 2, 0)}, {'a': (0, 1, 1, 0)})
    """
    num_groups = num_groups if len(order) % num_groups == 0 else 1
    size = len(order) // num_groups
    ranks = np.zeros(len(order), int)
    for number in range(num_groups):
        own = order[order // size == number]
        ranks[own] = np.arange(size)
    return Group(size, {name: tuple(ranks.tolist())})


def joint_group(stream: Stream, order: np.ndarray) -> Group:
    """The group of the readers of a stream.

    Args:
      stream: the stream.
      order: its channels, pinned ones first, then the best.
    """
    free = order[~stream.pinned[order]]
    ranks = np.full(len(order), ALWAYS)
    ranks[with_floors(free, stream.parts())] = np.arange(len(free))
    return Group(len(free), {name: tuple(ranks[places].tolist()) for name, places in stream.places.items()})


def with_floors(order: np.ndarray, parts: Sequence[np.ndarray]) -> np.ndarray:
    """An order whose beginnings hold at least `FLOOR` of its share of each part; otherwise as given.

    Args:
      order: channels, best first.
      parts: disjoint sets of channels.

    >>> with_floors(np.array([0, 1, 2, 3, 4, 5, 6, 7]), [np.array([0, 1, 2, 3]), np.array([4, 5, 6, 7])]).tolist()
    [0, 1, 2, 4, 3, 5, 6, 7]
    """
    left = [part for part in ([channel for channel in order.tolist() if channel in part] for part in parts) if part]
    sizes = [len(part) for part in left]
    rank = {channel: place for place, channel in enumerate(order.tolist())}
    result: list[int] = []
    for count in range(1, len(order) + 1):
        owed = [
            part
            for part, size in zip(left, sizes, strict=True)
            if part and size - len(part) < int(size * count / len(order) * FLOOR)
        ]
        part = min(owed or [part for part in left if part], key=lambda part: rank[part[0]])
        result.append(part.pop(0))
    return np.array(result, int)
