"""Channel selection by the geometric median of the filters (He et al. 2019, https://arxiv.org/abs/1811.00250)."""

from __future__ import annotations

import numpy as np
import scipy.spatial.distance

from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.origins import scores_of_origins
from pocketflow.learners.channel_pruning.selectors.selector import ScoreSelector
from pocketflow.utils.channels import trace
from pocketflow.utils.channels.identities import Step
from pocketflow.utils.channels.rules import Side, weight_names


def summed_distances(filters: np.ndarray) -> np.ndarray:
    """The sum of the Euclidean distances of each filter to all filters (He et al. 2019, section 3.3).

    The filters with the least sums are close to the geometric median of all: the others can represent them.

    >>> summed_distances(np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])).round(3).tolist()
    [6.0, 9.243, 5.243]

    Args:
      filters: `[filters, weights]`.

    Returns:
      float64 `[filters]`.
    """
    distances: np.ndarray = scipy.spatial.distance.squareform(scipy.spatial.distance.pdist(filters))
    sums: np.ndarray = distances.sum(axis=1)
    return sums


def filters_of(step: Step) -> np.ndarray:
    """The filters of a layer that makes channels, float64 `[filters, weights]`, without biases."""
    kernels = []
    for name in weight_names(step.layer, step.known_rule):
        weight = getattr(step.layer, name).numpy().astype(np.float64)
        axes = [axis for axis, side in step.known_rule.weights[name].items() if side is Side.OUT]
        if weight.ndim > 1 and axes:
            kernels.append(np.moveaxis(weight, axes[0], 0).reshape(weight.shape[axes[0]], -1))
    return np.concatenate(kernels, axis=1)


@SELECTORS.register('fpgm')
class FpgmSelector(ScoreSelector):
    """The channels whose filters are farthest from the others (He et al. 2019, https://arxiv.org/abs/1811.00250).

    Channels that no filter makes are scored by the l1 norm of their weights (`origins`).
    """

    def score(self) -> dict[str, np.ndarray]:
        graph = trace(self.context.model)
        distances = {step.outputs[0]: summed_distances(filters_of(step)) for step in graph.steps if step.reads}
        return scores_of_origins(graph, self.context.readers, distances)
