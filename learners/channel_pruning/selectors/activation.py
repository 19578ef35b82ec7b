"""Channel selection by the size of the activations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.forward import forward, parts
from pocketflow.learners.channel_pruning.selectors.selector import ScoreSelector
from pocketflow.utils.channels import trace
from pocketflow.utils.tasks.nests import num_samples, take


def mean_sizes(inputs: np.ndarray, positions: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of |x| for each channel, float64 `[channels]`.

    Args:
      inputs: x, the input of a layer, `[images, ..., values]`.
      positions: for each channel its places on the last axis.
    """
    sizes = np.abs(inputs).reshape(-1, inputs.shape[-1]).mean(axis=0, dtype=np.float64)
    return np.array([sizes[places].mean() for places in positions])


@SELECTORS.register('activation')
class ActivationSelector(ScoreSelector):
    """The channels with the largest mean absolute activation at the input of the layer that reads them.

    Unlike the share of non-zero activations (Hu et al. 2016, https://arxiv.org/abs/1607.03250), the mean also tells
    channels apart whose activation function is never zero, or of which the layer reads only means over the map.
    """

    def score(self) -> dict[str, np.ndarray]:
        graph, readers, images = trace(self.context.model), self.context.readers, self.context.sampling.images
        sums = {name: np.zeros(reader.num_channels) for name, reader in readers.items()}
        for part in parts(graph, images):
            run = forward(graph, take(images, part), readers)
            for name, reader in readers.items():
                sums[name] += (part.stop - part.start) * mean_sizes(run.inputs[name].numpy(), reader.positions)
        return {name: total / num_samples(images) for name, total in sums.items()}
