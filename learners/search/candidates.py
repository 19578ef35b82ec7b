"""What a learner hands to a search."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tf_keras as keras

from pocketflow.hp_optimizer.domain import Domain, Values
from pocketflow.utils.training.trainer import TrainerParts

MIN_WIDTH = 1e-9


class SearchTarget:
    """What is searched, as a search and its report see it.

    Attributes:
      domain: what candidates there are.
      searched: what the values are, in a few words, as in 'sparsity'.
      budget: the budget in words; None if there is none.
      cost_unit: in what candidates' costs are counted; None if they have none.
      sizes: weights of each searched layer; empty where no layers are searched.
      given: the candidate that would be used without a search, if it is none of those that any search tries.
    """

    domain: Domain
    searched: str
    budget: str | None = None
    cost_unit: str | None = None
    sizes: Mapping[str, int] = {}
    given: Values | None = None

    def chosen(self, values: Values) -> dict[str, Any]:
        """What is needed to compress like a candidate, for JSON."""
        return dict(values)


class Candidates(SearchTarget, abc.ABC):
    """What a learner hands to a search: what is searched, and one network that can become any of its candidates.

    Attributes:
      model: the network, at first as the learner got it; who uses it puts its weights back before each candidate.
      parts: additions to training, as masks; their variables belong to the candidate.
    """

    model: keras.Model
    parts: TrainerParts

    @abc.abstractmethod
    def apply(self, values: Values) -> None:
        """Turns the network, which has its first weights, into a candidate."""

    def reward(self, quality: float, values: Values) -> float:
        """What a candidate is worth whose network reaches `quality` in the pair's primary metric."""
        return quality


def four_axes(shape: Sequence[int]) -> tuple[int, int, int, int]:
    """A kernel's shape with four axes: filled up with ones in front, or the first ones made one.

    >>> four_axes((48, 16)), four_axes((2, 3, 4, 8, 16))
    ((1, 1, 48, 16), (6, 4, 8, 16))
    """
    *first, height, num_inputs, num_outputs = (1,) * (4 - len(shape)) + tuple(shape)
    return math.prod(first), height, num_inputs, num_outputs


def layer_features(kernels: Mapping[str, Sequence[int]]) -> dict[str, tuple[float, ...]]:
    """What an agent may know of each layer beforehand, each number relative to the largest of all layers.

    Args:
      kernels: layer -> shape of its kernel, in the order of the network.

    Returns:
      Layer -> kernel height, width, input channels, output channels, number of weights, weights in the layers after it.
      The agent's state has a fixed width: of kernels with more axes the first ones count as one height.
    """
    shapes = np.array([four_axes(shape) for shape in kernels.values()], float)
    sizes = shapes.prod(axis=1)
    table = np.column_stack([shapes, sizes, sizes.sum() - np.cumsum(sizes)])
    table /= np.maximum(table.max(axis=0), MIN_WIDTH)
    return {name: tuple(row) for name, row in zip(kernels, table.tolist(), strict=True)}
