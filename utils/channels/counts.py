"""How many channels each reader has before and after a removal, without building anything."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import tf_keras as keras

from pocketflow.utils.channels.identities import ChannelGraph, Step, trace
from pocketflow.utils.channels.liveness import Liveness
from pocketflow.utils.channels.placement import channels_left
from pocketflow.utils.channels.readers import kept_identities


@dataclasses.dataclass(frozen=True)
class ChannelCounts:
    """Channels that one convolution or dense layer reads and makes: places on a tensor's last axis.

    `inputs_after` counts those that are left in what it takes, also if they meet zeros (see `placement`).
    """

    inputs_before: int
    inputs_after: int
    outputs_before: int
    outputs_after: int


def channel_counts(model: keras.Model | ChannelGraph, kept: Mapping[str, Sequence[int]]) -> dict[str, ChannelCounts]:
    """The counts of every reader that `remove_channels(model, kept)` would leave, in the order of execution.

    A reader that would be removed as a whole, since nobody needs its result, has zeros after.

    Raises:
        UsageError: the model is not functional, or `kept` does not fit it.
    """
    graph = trace(model)
    alive = channels_left(graph, kept_identities(graph, kept))
    return {step.layer.name: _counts(alive, step) for step in graph.steps if step.reads}


def _counts(alive: Liveness, step: Step) -> ChannelCounts:
    source, result = step.inputs[0], step.outputs[0]
    inputs_after = len(alive.taken(step, source)) if alive.is_alive(step) else 0
    classes = alive.graph.classes
    return ChannelCounts(len(classes[source]), inputs_after, len(classes[result]), len(alive.left(result)))
