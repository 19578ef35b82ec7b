"""Decision for each stream of channels: a common set for all its readers, a separate set for each, or no pruning.

If readers of one tensor drop different channels, little is saved, because the tensor keeps all channels that any of
them reads, and the selection in front of each reader costs multiply-adds. Channels outside a common set are removed in
the layer that makes them, but a common set is less accurate for each reader. The option with the least loss of quality
per saved multiply-add is taken. The loss is the share of its output that a reader cannot reconstruct from its kept
channels, summed over the readers; the multiply-adds are those of the whole pruned network, including selections.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import scipy.linalg

from pocketflow.learners.channel_pruning.contributions import ChannelStatistics
from pocketflow.learners.channel_pruning.counts import num_kept
from pocketflow.learners.channel_pruning.equations import NormalEquations
from pocketflow.learners.channel_pruning.selectors import lasso, obs
from pocketflow.utils.channels import ReaderChannels
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
DAMPING = 1e-8
"""Damping, relative to the mean energy of a channel's contribution, because channels may be linearly dependent."""


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
    """A selection criterion on statistics of the full model, for one reader or several together.

    Attributes:
      criterion: 'lasso', 'obs', 'l1' or 'random'.
      statistics: reader -> its statistics.
      norms: reader -> l1 norm of each channel's weights.
      rng: random numbers for 'random'.
    """

    criterion: str
    statistics: Statistics
    norms: Mapping[str, np.ndarray]
    rng: np.random.Generator

    def choose(self, stream: Stream, readers: Sequence[str], num_free: int, pinned: np.ndarray) -> np.ndarray:
        """Channels of a stream: the pinned ones, and the best `num_free` of the others for all `readers` together.

        Each reader's statistics are divided by the energy of its output, so that all have equal weight.
        """
        free = np.flatnonzero(~pinned)
        if num_free >= len(free):
            return np.arange(len(pinned))
        if self.criterion == 'lasso':
            best = lasso.lasso_channels(*self._regression(stream, readers, free), num_free)
        else:
            best = self._order(stream, readers, free)[:num_free]
        return np.sort(np.concatenate([np.flatnonzero(pinned), free[best]]))

    def order(self, stream: Stream, readers: Sequence[str], pinned: np.ndarray) -> np.ndarray:
        """All channels of a stream: the pinned ones, then the others, the best for all `readers` together first."""
        free = np.flatnonzero(~pinned)
        return np.concatenate([np.flatnonzero(pinned), free[self._order(stream, readers, free)]])

    def _order(self, stream: Stream, readers: Sequence[str], free: np.ndarray) -> np.ndarray:
        if self.criterion == 'random':
            return self.rng.permutation(len(free))
        if self.criterion == 'l1':
            return np.argsort(-self._summed_norms(stream, readers)[free], kind='stable')
        gram, cross = self._regression(stream, readers, free)
        if self.criterion == 'lasso':
            return lasso.lasso_order(gram, cross)
        return obs.obs_order(NormalEquations(gram, cross[:, None], 1.0, 1), np.arange(len(free)), DAMPING)

    def _regression(self, stream: Stream, readers: Sequence[str], free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Summed statistics of the `free` channels, for the part of the outputs that the others do not explain."""
        gram, cross = self._summed(stream, readers)
        others = np.setdiff1d(np.arange(len(cross)), free)
        cross = cross[free] - gram[np.ix_(free, others)] @ _solve(gram, cross, others)
        return gram[np.ix_(free, free)], cross

    def _summed(self, stream: Stream, readers: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        size = len(stream.identities)
        gram, cross = np.zeros((size, size)), np.zeros(size)
        for name in readers:
            statistics, places = self.statistics[name], stream.places[name]
            energy = statistics.energy or 1.0
            gram[np.ix_(places, places)] += statistics.gram / energy
            cross[places] += statistics.cross / energy
        return gram, cross

    def _summed_norms(self, stream: Stream, readers: Sequence[str]) -> np.ndarray:
        norms = np.zeros(len(stream.identities))
        for name in readers:
            norms[stream.places[name]] += self.norms[name] / (self.norms[name].sum() or 1.0)
        return norms


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
    explained = statistics.cross[kept] @ _solve(statistics.gram, statistics.cross, kept)
    return float(np.clip(1 - explained / statistics.energy, 0, 1))


def _solve(gram: np.ndarray, cross: np.ndarray, kept: np.ndarray) -> np.ndarray:
    if not len(kept):
        return np.zeros(0)
    gram = gram[np.ix_(kept, kept)]
    damping = DAMPING * np.trace(gram) / len(kept) or 1.0
    return scipy.linalg.solve(gram + damping * np.eye(len(kept)), cross[kept], assume_a='pos')


class Decider:
    """Decides stream by stream, from the first readers to the last, by the cost of the whole network.

    Args:
      graph: of the model.
      readers: the layers that may drop channels.
      share: share of the channels to keep.
      chooser: creates the chooser, which needs a pass over images; called on first use only.
    """

    def __init__(
        self, graph: ChannelGraph, readers: Mapping[str, ReaderChannels], share: float, chooser: Callable[[], Chooser]
    ):
        self._readers, self._share = readers, share
        self._macs = ChoiceMacs(graph)
        self._streams = streams(graph, readers)
        self._make_chooser = chooser
        self._chooser: Chooser | None = None
        self._num_groups = {step.layer.name: getattr(step.layer, 'groups', 1) for step in graph.steps if step.reads}
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
        for stream in self._streams:
            names = [name for name in stream.places if name in decisions.joint]
            if names:
                rank = np.argsort(self._get_chooser().order(stream, names, stream.pinned))
                orders |= {name: np.argsort(rank[stream.places[name]]) for name in names}
        return orders

    def _single(self, stream: Stream) -> Decisions:
        ((name, count),) = self._counts(stream).items()
        without = {other: mask for other, mask in self._masks.items() if other != name}
        if self._share < 1 and self._macs.total(without) <= self._total:
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
        """One set for all readers of the stream."""
        num_free = int((~stream.pinned).sum())
        if not num_free or self._share >= 1:
            return None
        names, num_free = list(stream.places), num_kept(num_free, self._share)
        chosen = self._get_chooser().choose(stream, names, num_free, stream.pinned)
        parts = stream.parts()
        floors = [int(len(part) * self._share * FLOOR) for part in parts]
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
                alone, [name], self._counts(stream)[name], np.zeros(len(places), bool)
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
        return {name: num_kept(self._readers[name].num_channels, self._share) for name in stream.places}

    def _any(self, name: str, count: int) -> np.ndarray:
        """Any `count` channels, equally many of each group of a grouped convolution, to compute costs."""
        size = self._readers[name].num_channels // self._num_groups[name]
        places = np.arange(max(1, count // self._num_groups[name]))
        return (np.arange(self._num_groups[name])[:, None] * size + places).ravel()

    def _mask(self, name: str, channels: np.ndarray) -> int:
        return self._macs.mask(name, channels.tolist())

    def _get_chooser(self) -> Chooser:
        if self._chooser is None:
            self._chooser = self._make_chooser()
        return self._chooser


@dataclasses.dataclass(frozen=True)
class _Option:
    """A way to prune a stream: the kept channels, the loss of quality, and the saved multiply-adds."""

    kept: Choice
    lost: float
    saved: int
    is_joint: bool
