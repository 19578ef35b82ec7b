"""Channels of grouped convolutions, which take, and make, equally many of each group."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from pocketflow.utils.channels.identities import ChannelGraph, bit_set
from pocketflow.utils.channels.readers import first_seen

Groups = list[np.ndarray]
"""The channels in each group of one grouped convolution, ascending."""


def groupings(graph: ChannelGraph, identities: np.ndarray) -> list[Groups]:
    """The groups of all grouped convolutions that make or take some channels.

    Args:
        graph: of the model.
        identities: distinct identities of the channels.

    Returns:
        For each tensor that such a convolution makes, then for each that one takes: indices into `identities`.
    """
    grouped = [step for step in graph.steps if step.rule is not None and step.rule.grouped]
    ends = [(step.outputs[0], step) for step in grouped] + [(step.inputs[0], step) for step in grouped]
    own, found = bit_set(identities.tolist()), []
    for key, step in ends:
        if graph.members[key] & own:
            parts = np.split(graph.classes[key], step.layer.groups)
            groups = [np.flatnonzero(np.isin(identities, part)) for part in parts]
            found.append([group for group in groups if len(group)])
    return found


def groupings_of_readers(graph: ChannelGraph) -> dict[str, list[Groups]]:
    """Reader -> result of `groupings` for its channels, which are numbered as by `reader_channels`."""
    return {
        step.layer.name: groupings(graph, first_seen(graph.classes[step.inputs[0]]))
        for step in graph.steps
        if step.reads
    }


def evenly(order: np.ndarray, count: int, grouped: Sequence[Groups]) -> np.ndarray:
    """The first channels of an order, but equally many of each group: the number that is left rounded down.

    >>> evenly(np.array([0, 1, 2, 3, 4, 5]), 3, []).tolist()
    [0, 1, 2]
    >>> evenly(np.array([0, 1, 2, 3, 4, 5]), 4, [[np.array([0, 1, 2]), np.array([3, 4, 5])]]).tolist()
    [0, 1, 3, 4]

    Args:
        order: channels, the best first.
        count: number of channels to take if there are no groups.
        grouped: result of `groupings`; where two of them disagree, the last one is followed.

    Returns:
        Channels, ascending; of each group at least one, if any group has one among the first `count`.
    """
    chosen = order[:count]
    if len(chosen) == len(order):
        return np.sort(order)
    for groups in grouped:
        is_member = np.isin(chosen, np.concatenate(groups))
        if is_member.any():
            each = max(1, int(is_member.sum()) // len(groups))
            best = [order[np.isin(order, group)][:each] for group in groups]
            chosen = np.concatenate([chosen[~is_member], *best])
    return np.unique(chosen)


def interleaved(order: np.ndarray, grouped: Sequence[Groups]) -> np.ndarray:
    """An order with the best channel of each group first, then the second best of each; other channels stay.

    >>> interleaved(np.array([1, 0, 6, 2, 5, 3]), [[np.array([0, 1, 2]), np.array([3, 5])]]).tolist()
    [1, 5, 6, 0, 3, 2]

    Args:
        order, grouped: as for `evenly`.
    """
    for groups in grouped:
        own = [order[np.isin(order, group)].tolist() for group in groups]
        rounds = [channel for each in itertools.zip_longest(*own) for channel in each if channel is not None]
        order = order.copy()
        order[np.isin(order, rounds)] = rounds
    return order
