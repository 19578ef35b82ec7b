"""Channel selection by the rank of feature maps (Lin et al. 2020, https://arxiv.org/abs/2002.10179)."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import tensorflow as tf

from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.forward import forward, parts
from pocketflow.learners.channel_pruning.origins import origins, scores_of_origins
from pocketflow.learners.channel_pruning.selectors.selector import ScoreSelector
from pocketflow.utils.channels import trace
from pocketflow.utils.channels.identities import ChannelGraph
from pocketflow.utils.tasks.nests import num_samples, take

NUM_IMAGES = 500
"""Most images of which ranks are computed; Lin et al. show that the mean rank hardly depends on the images."""


def mean_ranks(maps: np.ndarray) -> np.ndarray:
    """The mean rank of each channel's feature maps (Lin et al. 2020, section 3.2), float64 `[channels]`.

    Args:
      maps: `[images, height, width, channels]`.
    """
    ranks: np.ndarray = np.linalg.matrix_rank(np.moveaxis(maps, -1, 1))
    means: np.ndarray = ranks.mean(axis=0)
    return means


def last_maps(graph: ChannelGraph, readers: Collection[str]) -> set[int]:
    """The tensors whose maps are ranked: the nearest ones at or before each reader's input with more than one place."""
    shapes = {id(tensor): tensor.shape for step in graph.steps for tensor in tf.nest.flatten(step.node.outputs)}

    def is_map(key: int) -> bool:
        return len(shapes[key]) == 4 and tuple(shapes[key][1:3]) != (1, 1)

    inputs = [step.inputs[0] for step in graph.steps if step.layer.name in readers]
    return {key for tensor in inputs for key in origins(graph, tensor, is_map)}


@SELECTORS.register('hrank')
class HRankSelector(ScoreSelector):
    """The channels whose feature maps have the highest mean rank over images (Lin et al. 2020).

    The maps are those at the input of the layer that reads the channels, thus behind batch norm and activation; before
    a flattening or a global pooling, if there is one. Channels that never were maps, such as the outputs of dense
    layers, are scored by the l1 norm of their weights (`origins`).
    """

    def score(self) -> dict[str, np.ndarray]:
        graph, readers = trace(self.context.model), self.context.readers
        keys = last_maps(graph, readers)
        images = take(self.context.sampling.images, slice(NUM_IMAGES))
        sums = {key: np.zeros(len(graph.classes[key])) for key in keys}
        for part in parts(graph, images):
            values = forward(graph, take(images, part)).values
            for key in keys:
                sums[key] += (part.stop - part.start) * mean_ranks(values[key].numpy())
        return scores_of_origins(graph, readers, {key: total / num_samples(images) for key, total in sums.items()})
