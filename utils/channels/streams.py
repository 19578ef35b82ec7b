"""Streams: readers that share channels, as those of a residual stream, a concatenation, a tensor and its gate."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Collection, Mapping

import numpy as np

from pocketflow.utils.channels.identities import ChannelGraph, bit_set
from pocketflow.utils.channels.readers import check_readers, first_seen


@dataclasses.dataclass(frozen=True, eq=False)
class Stream:
    """Readers that are connected by common identities, directly or through other readers.

    Attributes:
        identities: the channels of the stream, int `[channels]`: all identities that its readers read.
        places: reader -> indices into `identities` of its channels (numbered as by `reader_channels`).
        pinned: channels that are kept regardless of the choice for these readers, bool `[channels]`.
    """

    identities: np.ndarray
    places: Mapping[str, np.ndarray]
    pinned: np.ndarray

    def channels_of(self, reader: str, chosen: np.ndarray) -> np.ndarray:
        """The channels of a reader, by its own numbers (ascending), that are in `chosen`, channels of the stream."""
        return np.flatnonzero(np.isin(self.places[reader], chosen))

    def parts(self) -> list[np.ndarray]:
        """The channels of the stream, grouped by the set of their readers, as the two operands of a concatenation."""
        channels = np.arange(len(self.identities))
        readers = np.stack([np.isin(channels, places) for places in self.places.values()])
        _, part_of = np.unique(readers, axis=1, return_inverse=True)
        part_of = part_of.reshape(-1)
        return [np.flatnonzero(part_of == part) for part in range(part_of.max() + 1)]


def streams(graph: ChannelGraph, names: Collection[str]) -> list[Stream]:
    """The streams of some readers, ordered by their first readers.

    Args:
        graph: of the model.
        names: the readers that may drop channels; all others read all of theirs.

    Raises:
        UsageError: one of `names` is no reader.
    """
    sources = {step.layer.name: step.inputs[0] for step in graph.steps if step.reads}
    check_readers(graph, names, sources)
    groups: list[tuple[int, list[str]]] = []
    for name in (name for name in sources if name in names):
        ids, members = graph.members[sources[name]], [name]
        linked = [group for group in groups if group[0] & ids]
        for group in reversed(linked):
            groups.remove(group)
            ids, members = ids | group[0], [*group[1], *members]
        groups.append((ids, members))
    order = list(sources)
    groups.sort(key=lambda group: order.index(group[1][0]))
    pinned = _pinned(graph, names)
    return [
        _stream(graph, {name: sources[name] for name in sorted(members, key=order.index)}, pinned)
        for _, members in groups
    ]


def _stream(graph: ChannelGraph, sources: Mapping[str, int], pinned: int) -> Stream:
    own = {name: first_seen(graph.classes[key]) for name, key in sources.items()}
    identities = first_seen(np.concatenate(list(own.values())))
    index = {identity: place for place, identity in enumerate(identities.tolist())}
    places = {name: np.array([index[identity] for identity in ids.tolist()]) for name, ids in own.items()}
    return Stream(identities, places, np.array([bool(pinned >> identity & 1) for identity in identities.tolist()]))


def _pinned(graph: ChannelGraph, names: Collection[str]) -> int:
    """The identities that are needed even if the readers `names` read nothing."""
    whole = [graph.members[key] for key in graph.outputs | graph.fixed]
    for step in graph.steps:
        if step.rule is None or (step.reads and step.layer.name not in names):
            whole += [graph.members[key] for key in step.inputs]
    return functools.reduce(operator.or_, whole, bit_set([]))
