"""Channel selection by the scales of batch norm (Liu et al. 2017, https://arxiv.org/abs/1708.06519)."""

from __future__ import annotations

import numpy as np
import tf_keras as keras

from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.origins import scores_of_origins
from pocketflow.learners.channel_pruning.selectors.selector import ScoreSelector
from pocketflow.utils.channels import trace
from pocketflow.utils.channels.identities import ChannelGraph


def scales(graph: ChannelGraph) -> dict[int, np.ndarray]:
    """Output of each batch norm -> |gamma|, float64 `[channels]`; NaN if it has no scales."""
    norms = [
        step for step in graph.steps if step.rule is not None and type(step.layer) is keras.layers.BatchNormalization
    ]
    return {
        norm.outputs[0]: np.abs(norm.layer.gamma.numpy().astype(np.float64))
        if norm.layer.scale
        else np.full(len(graph.classes[norm.outputs[0]]), np.nan)
        for norm in norms
    }


@SELECTORS.register('bn-scale')
class BnScaleSelector(ScoreSelector):
    """The channels with the largest |gamma| in the last batch norm before the layer that reads them (Liu et al. 2017).

    Liu et al. train with an l1 penalty on gamma; any trained network may be used here. Channels without a batch norm
    that has scales are scored by the l1 norm of their weights (`origins`).
    """

    def score(self) -> dict[str, np.ndarray]:
        graph = trace(self.context.model)
        return scores_of_origins(graph, self.context.readers, scales(graph))
