"""Numbers of channels of each reader before and after a removal, without building a model."""

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
    """Numbers of input and output channels of one convolution or dense layer: sizes of the tensors' last axes.

    `inputs_after` includes input channels whose weights are zero (see `placement`).
    """

    inputs_before: int
    inputs_after: int
    outputs_before: int
    outputs_after: int


def channel_counts(model: keras.Model | ChannelGraph, kept: Mapping[str, Sequence[int]]) -> dict[str, ChannelCounts]:
    """Counts for every reader in `remove_channels(model, kept)`, in the order of execution.

    A reader that would be removed as a whole, because its output is unused, has zeros after.

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
