"""Scores of the channels that a layer reads, from scores of the tensors in which these channels originate.

Several criteria rank the filters of the layer that makes a channel, the scales of the batch norm behind it, or its
feature map. Channels are the same if they have the same identity (`utils/channels`), so that this also holds behind
concatenations, flattening, depthwise convolutions and additions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pocketflow.learners.channel_pruning.selectors.l1 import weight_norms
from pocketflow.utils.channels import ReaderChannels
from pocketflow.utils.channels.identities import ChannelGraph, Step
from pocketflow.utils.channels.readers import first_seen
from pocketflow.utils.channels.rules import Flow


def origins(graph: ChannelGraph, tensor: int, is_origin: Callable[[int], bool]) -> list[int]:
    """The nearest tensors, at or before a tensor, that satisfy a condition and have channels in common with it.

    Args:
      graph: of the model.
      tensor: key of the tensor.
      is_origin: the condition, for keys of tensors.

    Returns:
      Keys, each once. The search goes on behind layers that pass channels on, through all inputs of an addition or a
      concatenation; it ends at layers that make new channels, or that have no rule.
    """
    made_by = {key: step for step in graph.steps for key in step.outputs}
    found: list[int] = []
    pending, seen = [tensor], {tensor}
    while pending:
        key = pending.pop()
        if is_origin(key):
            found.append(key)
        elif passes_on(made_by[key]):
            new = [source for source in dict.fromkeys(made_by[key].inputs) if source not in seen]
            seen.update(new)
            pending += new
    return found


def passes_on(step: Step) -> bool:
    """Whether the output channels of a call are channels of its inputs."""
    return step.rule is not None and step.rule.flow is not Flow.MAKES


def scores_of_origins(
    graph: ChannelGraph, readers: Mapping[str, ReaderChannels], scores: Mapping[int, np.ndarray]
) -> dict[str, np.ndarray]:
    """Reader -> the score of each of its channels, float64 `[channels]`; never NaN.

    The score of a channel is the sum of the scores with the same identity in the `origins` of the reader's input: one
    for an ordinary convolution, one for each operand of an addition. A channel without any, such as one of the
    network's inputs, is scored by the l1 norm of the reader's weights (`filled`).

    Args:
      graph: of the model.
      readers: layers of the model that have a linear form.
      scores: key of a tensor -> the score of each channel on its last axis, float64, not negative; NaN: none, although
        the search ends there.
    """
    inputs = {step.layer.name: step.inputs[0] for step in graph.steps if step.reads}
    return {
        name: filled(_summed(graph, inputs[name], scores), weight_norms(graph.model, reader))
        for name, reader in readers.items()
    }


def _summed(graph: ChannelGraph, tensor: int, scores: Mapping[int, np.ndarray]) -> np.ndarray:
    """The summed score of each channel of a tensor, numbered as by `reader_channels`; NaN for those without any."""
    totals: dict[int, float] = {}
    for origin in origins(graph, tensor, scores.__contains__):
        known = ~np.isnan(scores[origin])
        found = zip(graph.classes[origin][known].tolist(), scores[origin][known].tolist(), strict=True)
        for identity, score in found:
            totals[identity] = totals.get(identity, 0.0) + score
    return np.array([totals.get(identity, np.nan) for identity in first_seen(graph.classes[tensor]).tolist()])


def filled(scores: np.ndarray, substitutes: np.ndarray) -> np.ndarray:
    """Scores with substitutes in place of NaN, multiplied so that they have the mean of the scores where both exist.

    >>> filled(np.array([2.0, np.nan, 4.0]), np.array([10.0, 15.0, 20.0])).tolist()
    [2.0, 3.0, 4.0]

    Args:
      scores: `[channels]`; NaN where there is none.
      substitutes: `[channels]`, not negative.
    """
    known = ~np.isnan(scores)
    factor = scores[known].mean() / (substitutes[known].mean() or 1.0) if known.any() else 1.0
    return np.where(known, scores, factor * substitutes)
