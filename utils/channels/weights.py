"""The parts of weights that belong to the remaining channels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tf_keras as keras

from pocketflow.utils.channels.identities import ChannelGraph, Step
from pocketflow.utils.channels.liveness import Liveness
from pocketflow.utils.channels.rules import Side, weight_names

Cuts = dict[str, dict[int, np.ndarray]]


def axis_indices(channels: np.ndarray, num_channels: int, length: int) -> np.ndarray:
    """Indices of `channels` on a weight's axis that has `length / num_channels` entries per channel.

    An axis of length 1 (a weight shared by all channels) is kept.

    >>> axis_indices(np.array([0, 2]), num_channels=3, length=6).tolist()
    [0, 1, 4, 5]
    """
    if length == 1:
        return np.zeros(1, dtype=np.int64)
    places = length // num_channels
    return (channels[:, np.newaxis] * places + np.arange(places)).ravel()


def axis_length(num_left: int, num_channels: int, length: int) -> int:
    """Number of entries of a weight's axis for `num_left` of its channels: the length of `axis_indices`.

    >>> axis_length(2, num_channels=3, length=6)
    4
    """
    return 1 if length == 1 else num_left * (length // num_channels)


def cut_groups(kernel: np.ndarray, taken: np.ndarray, num_channels: int, num_groups: int) -> np.ndarray:
    """The part of a grouped kernel `[..., channels of a group, filters]` for the input channels `taken`.

    Args:
        kernel: a kernel whose filters are ordered by group.
        taken: equally many channels of each group, ascending, in 0 .. `num_channels` - 1.
        num_channels: number of input channels of all groups.
        num_groups: number of groups.
    """
    group, place = np.divmod(taken, num_channels // num_groups)
    parts = np.split(kernel, num_groups, axis=-1)
    return np.concatenate([part[..., place[group == number], :] for number, part in enumerate(parts)], axis=-1)


def weight_cuts(alive: Liveness, step: Step) -> Cuts:
    """Weight name -> {axis: the remaining indices}, for the weights of a step that has a rule."""
    graph = alive.graph
    source, result = step.inputs[0], step.outputs[0]
    left = {Side.IN: alive.taken(step, source), Side.OUT: alive.left(result)}
    total = {Side.IN: len(graph.classes[source]), Side.OUT: len(graph.classes[result])}
    cuts: Cuts = {}
    for name in weight_names(step.layer, step.known_rule):
        shape = getattr(step.layer, name).shape
        sides = step.known_rule.weights[name].items()
        cuts[name] = {axis: axis_indices(left[side], total[side], shape[axis]) for axis, side in sides}
    return cuts


def cut(weight: np.ndarray, indices: Mapping[int, np.ndarray]) -> np.ndarray:
    """The part of `weight` at the given `indices` of each axis."""
    for axis, chosen in indices.items():
        weight = np.take(weight, chosen, axis=axis)
    return weight


def zero_unread(graph: ChannelGraph, step: Step, copy: keras.layers.Layer, read: int) -> None:
    """Sets the weights of `copy`, a copy of a reader, for input channels outside `read` to zero."""
    for name in weight_names(copy, step.known_rule):
        variable = getattr(copy, name)
        variable.assign(without_unread(graph, step, name, variable.numpy(), read))


def without_unread(graph: ChannelGraph, step: Step, name: str, value: np.ndarray, read: int) -> np.ndarray:
    """The weight `name` of a reader, with zeros for input channels whose identities are not in `read`."""
    source = step.inputs[0]
    num_channels = len(graph.classes[source])
    unread = graph.positions(source, graph.members[source] & ~read)
    if not len(unread):
        return value
    value = value.copy()
    if step.known_rule.grouped and name == 'kernel':
        group, place = np.divmod(unread, num_channels // step.layer.groups)
        filters = value.shape[-1] // step.layer.groups
        for number, channel in zip(group.tolist(), place.tolist(), strict=True):
            value[..., channel, number * filters : (number + 1) * filters] = 0
        return value
    for axis in (axis for axis, side in step.known_rule.weights[name].items() if side is Side.IN):
        np.moveaxis(value, axis, 0)[axis_indices(unread, num_channels, value.shape[axis])] = 0
    return value


def weight_shapes(graph: ChannelGraph, step: Step, num_inputs: int, num_outputs: int) -> dict[str, tuple[int, ...]]:
    """Weight name -> its shape with the given numbers of channels, for the weights of a step that has a rule."""
    left = {Side.IN: num_inputs, Side.OUT: num_outputs}
    total = {Side.IN: len(graph.classes[step.inputs[0]]), Side.OUT: len(graph.classes[step.outputs[0]])}
    shapes = {}
    for name in weight_names(step.layer, step.known_rule):
        shape = list(getattr(step.layer, name).shape)
        for axis, side in step.known_rule.weights[name].items():
            is_group = step.known_rule.grouped and side is Side.IN
            shape[axis] = (
                left[side] // step.layer.groups if is_group else axis_length(left[side], total[side], shape[axis])
            )
        shapes[name] = tuple(shape)
    return shapes
