"""Readers: the layers whose input channels can be dropped (convolutions and dense layers)."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import tf_keras as keras

from pocketflow.utils.channels.identities import ChannelGraph, Step, bit_set, trace
from pocketflow.utils.errors import UsageError


@dataclasses.dataclass(frozen=True, eq=False)
class ReaderChannels:
    """The input channels of one reader.

    Attributes:
        name: the layer's name.
        kind: 'conv' or 'dense'.
        positions: for each channel, its indices on the last axis of the layer's input: one for a convolution, H*W
            for a dense layer behind a flattened HxWxC map.
    """

    name: str
    kind: str
    positions: tuple[np.ndarray, ...]

    @property
    def num_channels(self) -> int:
        """Number of input channels."""
        return len(self.positions)


def reader_channels(model: keras.Model | ChannelGraph) -> dict[str, ReaderChannels]:
    """All readers of a model by name, in the order of execution.

    Channels are numbered by their first appearance on the last axis of the layer's input.
    """
    graph = trace(model)
    return {step.layer.name: _reader(graph, step) for step in graph.steps if step.reads}


def kept_identities(graph: ChannelGraph, kept: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """The identities that each reader of `graph` still reads, as bit sets; readers not named in `kept` read all.

    Raises:
        UsageError: `kept` names a layer that is no reader, a channel that does not exist, or an empty set of channels.
    """
    readers = {step.layer.name: step for step in graph.steps if step.reads}
    check_readers(graph, kept, readers)
    return {
        name: chosen(name, first_seen(graph.classes[step.inputs[0]]), kept.get(name)) for name, step in readers.items()
    }


def first_seen(ids: np.ndarray) -> np.ndarray:
    """The distinct values of `ids`, in the order of their first appearance."""
    values, first = np.unique(ids, return_index=True)
    return values[np.argsort(first)]


def _reader(graph: ChannelGraph, step: Step) -> ReaderChannels:
    ids = graph.classes[step.inputs[0]]
    order = np.argsort(ids, kind='stable')
    values, starts = np.unique(ids[order], return_index=True)
    places = dict(zip(values.tolist(), np.split(order, starts[1:]), strict=True))
    kind = 'dense' if isinstance(step.layer, keras.layers.Dense) else 'conv'
    return ReaderChannels(step.layer.name, kind, tuple(places[i] for i in first_seen(ids).tolist()))


def check_readers(graph: ChannelGraph, names: Iterable[str], readers: Collection[str]) -> None:
    """Raises a UsageError if one of `names` is not one of the `readers` of `graph`."""
    unknown = next((name for name in names if name not in readers), None)
    if unknown is not None:
        raise UsageError(
            f'kept channels are given for layer {unknown!r}, which is not a convolution or dense layer of'
            f' model {graph.model.name!r} that can lose inputs; those are: {", ".join(readers) or "none"}'
        )


def chosen(name: str, ids: np.ndarray, channels: Sequence[int] | None) -> int:
    """The bit set of the `channels` (None: of all) of the reader `name`, whose channels have the identities `ids`.

    Raises:
        UsageError: a channel does not exist, or none is chosen.
    """
    if channels is None:
        return bit_set(ids.tolist())
    indices = [_index(name, value) for value in channels]
    if not indices:
        raise UsageError(f'layer {name!r} would read no channel at all; keep at least one of 0..{len(ids) - 1}')
    bad = next((index for index in indices if not 0 <= index < len(ids)), None)
    if bad is not None:
        raise UsageError(f'layer {name!r} has no input channel {bad}; it has {len(ids)}, numbered 0..{len(ids) - 1}')
    return bit_set(set(ids[indices].tolist()))


def _index(name: str, value: int) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise UsageError(f'layer {name!r}: kept channel {value!r} is not an integer') from None
