"""Decision for each stream of channels: a common set for all its readers, a separate set for each, or no pruning.

If readers of one tensor drop different channels, little is saved, because the tensor keeps all channels that any of
them reads, and the selection in front of each reader costs multiply-adds. Channels outside a common set are removed in
the layer that makes them, but a common set is less accurate for each reader. The option with the least loss of quality
per saved multiply-add is taken. The loss is the share of its output that a reader cannot reconstruct from its kept
channels, summed over the readers; the multiply-adds are those of the whole pruned network, including selections.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np

from pocketflow.learners.channel_pruning.contributions import ChannelStatistics
from pocketflow.learners.channel_pruning.counts import num_kept
from pocketflow.learners.channel_pruning.selectors.selector import Selector
from pocketflow.learners.channel_pruning.stream_regression import StreamRegression, coefficients
from pocketflow.utils.channels import ReaderChannels
from pocketflow.utils.channels.groups import Groups, evenly, groupings, groupings_of_readers
from pocketflow.utils.channels.identities import ChannelGraph
from pocketflow.utils.channels.streams import Stream, streams
from pocketflow.utils.costs.choice_macs import ChoiceMacs

Statistics = Mapping[str, ChannelStatistics]
Choice = dict[str, np.ndarray]
"""Reader -> the channels that it keeps, ascending."""

NOT_WORTH = 'no multiply-adds would be saved'
FLOOR = 0.5
"""Each part of a stream keeps at least this fraction of its share of channels. If a concatenation joins a strong skip
connection and a weak deep branch, a common set would otherwise drop the entire branch."""


@dataclasses.dataclass(frozen=True)
class Decisions:
    """Decisions that are made before any layer is re-fitted.

    Attributes:
      joint: reader -> the kept channels that it has in common with the other readers of its stream.
      counts: reader -> number of kept channels, which are chosen when the layer is re-fitted.
      whole: reader -> the reason why it keeps all channels.
    """

    joint: Choice = dataclasses.field(default_factory=dict)
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    whole: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Chooser:
    """Chooses common sets of channels, from statistics of the full model.

    Attributes:
      selector: ranks the channels.
      statistics: reader -> its statistics.
    """

    selector: Selector
    statistics: Statistics

    def choose(
        self, stream: Stream, readers: Sequence[str], num_free: int, pinned: np.ndarray, grouped: Sequence[Groups] = ()
    ) -> np.ndarray:
        """Channels of a stream: the pinned ones, and the best `num_free` of the others for all `readers` together.

        Equally many of each group of grouped convolutions are chosen (`evenly`).
        """
        regression = self._regression(stream, readers, pinned)
        if num_free >= len(regression.free):
            return np.arange(len(pinned))
        if grouped:
            even = evenly(self.order(stream, readers, pinned), int(pinned.sum()) + num_free, grouped)
            return np.union1d(even, np.flatnonzero(pinned))
        best = self.selector.choose_jointly(regression, num_free)
        return np.sort(np.concatenate([np.flatnonzero(pinned), regression.free[best]]))

    def order(self, stream: Stream, readers: Sequence[str], pinned: np.ndarray) -> np.ndarray:
        """All channels of a stream: the pinned ones, then the others, the best for all `readers` together first."""
        regression = self._regression(stream, readers, pinned)
        return np.concatenate([np.flatnonzero(pinned), regression.free[self.selector.joint_order(regression)]])

    def _regression(self, stream: Stream, readers: Sequence[str], pinned: np.ndarray) -> StreamRegression:
        return StreamRegression(stream, readers, np.flatnonzero(~pinned), self.statistics)


def first_with_floors(order: np.ndarray, count: int, parts: Sequence[np.ndarray], floors: Sequence[int]) -> np.ndarray:
    """The first channels of an order, with a minimum number for each part.

    Args:
      order: all channels, the best first.
      count: number of channels to take; at least the sum of the floors.
      parts: channels of each part.
      floors: minimum number of channels of each part.

    Returns:
      Channels, ascending, int `[count]`.

    >>> first_with_floors(np.array([0, 1, 2, 3, 4, 5]), 3, [np.array([0, 1, 2]), np.array([3, 4, 5])], [1, 1]).tolist()
    [0, 1, 3]
    """
    owed = np.concatenate([order[np.isin(order, part)][:floor] for part, floor in zip(parts, floors, strict=True)])
    others = order[~np.isin(order, owed)]
    return np.sort(np.concatenate([owed, others[: count - len(owed)]]))


def lost_share(statistics: ChannelStatistics, kept: np.ndarray) -> float:
    """The share of a reader's output, in [0, 1], that its kept channels cannot reconstruct with one scale per channel.

    An upper bound of the loss with all weights re-fitted.
    """
    if statistics.energy <= 0 or len(kept) == len(statistics.cross):
        return 0.0
    explained = statistics.cross[kept] @ coefficients(statistics.gram, statistics.cross, kept)
    return float(np.clip(1 - explained / statistics.energy, 0, 1))


class Decider:
    """Decides stream by stream, from the first readers to the last, by the cost of the whole network.

    Args:
      graph: of the model.
      readers: the layers that may drop channels.
      shares: reader -> the share of its channels to keep, in (0, 1].
      chooser: creates the chooser for some of the readers, which needs a pass over images; called on first use only.
    """

    def __init__(
        self,
        graph: ChannelGraph,
        readers: Mapping[str, ReaderChannels],
        shares: Mapping[str, float],
        chooser: Callable[[Collection[str]], Chooser],
    ):
        self._readers, self._shares = readers, shares
        self._macs = ChoiceMacs(graph)
        self._streams = streams(graph, readers)
        self._make_chooser = chooser
        self._chooser: Chooser | None = None
        self._graph, self._grouped = graph, groupings_of_readers(graph)
        single = [stream for stream in self._streams if len(stream.places) == 1]
        self._masks = {
            name: self._mask(name, self._any(name, count))
            for stream in single
            for name, count in self._counts(stream).items()
        }
        self._total = self._macs.total(self._masks)

    def decide(self) -> Decisions:
        joint: Choice = {}
        counts: dict[str, int] = {}
        whole: dict[str, str] = {}
        for stream in self._streams:
            decision = self._single(stream) if len(stream.places) == 1 else self._several(stream)
            joint |= decision.joint
            counts |= decision.counts
            whole |= decision.whole
        return Decisions(joint, counts, whole)

    def orders(self, decisions: Decisions) -> Choice:
        """The channels of each reader with a common set, in the order of its whole stream."""
        orders: Choice = {}
        for stream, order in self.joint_streams(decisions):
            rank = np.argsort(order)
            orders |= {name: np.argsort(rank[places]) for name, places in stream.places.items()}
        return orders

    def joint_streams(self, decisions: Decisions) -> Iterator[tuple[Stream, np.ndarray]]:
        """The streams whose readers have a common set, with the order of their channels: pinned ones first."""
        for stream in self._streams:
            names = [name for name in stream.places if name in decisions.joint]
            if names:
                yield stream, self._get_chooser().order(stream, names, stream.pinned)

    def _single(self, stream: Stream) -> Decisions:
        ((name, count),) = self._counts(stream).items()
        without = {other: mask for other, mask in self._masks.items() if other != name}
        if self._shares[name] < 1 and self._macs.total(without) <= self._total:
            self._commit(without)
            return Decisions(whole={name: NOT_WORTH})
        return Decisions(counts={name: count})

    def _several(self, stream: Stream) -> Decisions:
        options = [option for option in (self._common(stream), self._separate(stream)) if option is not None]
        if not options:
            return Decisions(whole=dict.fromkeys(stream.places, NOT_WORTH))
        best = min(options, key=lambda option: option.lost / option.saved)
        self._commit({**self._masks, **{name: self._mask(name, kept) for name, kept in best.kept.items()}})
        if best.is_joint:
            return Decisions(joint=best.kept)
        return Decisions(
            counts={name: len(kept) for name, kept in best.kept.items()},
            whole={name: NOT_WORTH for name in stream.places if name not in best.kept},
        )

    def _common(self, stream: Stream) -> _Option | None:
        """One set for all readers of the stream, of the mean of their shares."""
        num_free, names = int((~stream.pinned).sum()), list(stream.places)
        share = float(np.mean([self._shares[name] for name in names]))
        if not num_free or share >= 1:
            return None
        grouped = groupings(self._graph, stream.identities)
        chosen = self._get_chooser().choose(stream, names, num_kept(num_free, share), stream.pinned, grouped)
        parts = stream.parts()
        floors = [int(len(part) * share * FLOOR) for part in parts]
        if any(np.isin(part, chosen).sum() < floor for part, floor in zip(parts, floors, strict=True)):
            order = self._get_chooser().order(stream, names, stream.pinned)
            chosen = first_with_floors(order, len(chosen), parts, floors)
        kept = {name: self._own(stream, name, chosen) for name in stream.places}
        return self._option(kept, is_joint=True)

    def _own(self, stream: Stream, name: str, chosen: np.ndarray) -> np.ndarray:
        channels = stream.channels_of(name, chosen)
        if len(channels):
            return channels
        return np.array([int(np.argmax(np.diag(self._get_chooser().statistics[name].gram)))])

    def _separate(self, stream: Stream) -> _Option | None:
        """A separate set for each reader for which it saves multiply-adds, including selections."""
        masks, total = self._masks, self._total
        paying: list[str] = []
        for name, count in self._counts(stream).items():
            tried = {**masks, name: self._mask(name, self._any(name, count))}
            cost = self._macs.total(tried)
            if cost < total:
                masks, total = tried, cost
                paying.append(name)
        kept: Choice = {}
        for name in paying:
            places = stream.places[name]
            alone = dataclasses.replace(
                stream,
                identities=stream.identities[places],
                places={name: np.arange(len(places))},
                pinned=stream.pinned[places],
            )
            kept[name] = self._get_chooser().choose(
                alone, [name], self._counts(stream)[name], np.zeros(len(places), bool), self._grouped[name]
            )
        return self._option(kept, is_joint=False) if kept else None

    def _option(self, kept: Choice, is_joint: bool) -> _Option | None:
        total = self._macs.total({**self._masks, **{name: self._mask(name, own) for name, own in kept.items()}})
        if total >= self._total:
            return None
        statistics = self._get_chooser().statistics
        return _Option(
            kept, sum(lost_share(statistics[name], own) for name, own in kept.items()), self._total - total, is_joint
        )

    def _commit(self, masks: Mapping[str, int]) -> None:
        self._masks, self._total = dict(masks), self._macs.total(masks)

    def _counts(self, stream: Stream) -> dict[str, int]:
        return {name: num_kept(self._readers[name].num_channels, self._shares[name]) for name in stream.places}

    def _any(self, name: str, count: int) -> np.ndarray:
        """Any `count` channels, equally many of each group of grouped convolutions, to compute costs."""
        return evenly(np.arange(self._readers[name].num_channels), count, self._grouped[name])

    def _mask(self, name: str, channels: np.ndarray) -> int:
        return self._macs.mask(name, channels.tolist())

    def _get_chooser(self) -> Chooser:
        if self._chooser is None:
            # The channels of a reader with a stream of its own are chosen when it is re-fitted.
            self._chooser = self._make_chooser(
                [name for stream in self._streams if len(stream.places) > 1 for name in stream.places]
            )
        return self._chooser


@dataclasses.dataclass(frozen=True)
class _Option:
    """A way to prune a stream: the kept channels, the loss of quality, and the saved multiply-adds."""

    kept: Choice
    lost: float
    saved: int
    is_joint: bool
