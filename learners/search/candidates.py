"""The interface between a learner and a search."""

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
    """Definition of a search, for the search itself and for the report.

    Attributes:
      domain: the search domain.
      searched: name of the searched values, as in 'sparsity'.
      budget: description of the budget; None if there is none.
      cost_unit: unit of the candidates' costs; None if they have no cost.
      sizes: number of weights of each searched layer; empty if no layers are searched.
      given: the candidate that would be used without a search, if no search method proposes it by itself.
    """

    domain: Domain
    searched: str
    budget: str | None = None
    cost_unit: str | None = None
    sizes: Mapping[str, int] = {}
    given: Values | None = None

    def chosen(self, values: Values) -> dict[str, Any]:
        """The values with which a learner compresses as this candidate, JSON-serialisable."""
        return dict(values)


class Candidates(SearchTarget, abc.ABC):
    """A search with one network that can be converted to any candidate.

    Attributes:
      model: the network, initially the learner's input; callers restore its weights before each candidate.
      parts: additions to the training, such as masks, whose variables are restored, too.
    """

    model: keras.Model
    parts: TrainerParts

    @abc.abstractmethod
    def apply(self, values: Values) -> None:
        """Converts the network, which has its initial weights, to a candidate."""

    def reward(self, quality: float, values: Values) -> float:
        """The reward of a candidate whose network reaches `quality` in the pair's primary metric."""
        return quality


def four_axes(shape: Sequence[int]) -> tuple[int, int, int, int]:
    """A kernel's shape with four axes: padded with ones in front, or with the leading axes merged.

    >>> four_axes((48, 16)), four_axes((2, 3, 4, 8, 16))
    ((1, 1, 48, 16), (6, 4, 8, 16))
    """
    *first, height, num_inputs, num_outputs = (1,) * (4 - len(shape)) + tuple(shape)
    return math.prod(first), height, num_inputs, num_outputs


def layer_features(kernels: Mapping[str, Sequence[int]]) -> dict[str, tuple[float, ...]]:
    """Static features of each layer, each relative to its maximum over the layers.

    Args:
      kernels: layer -> shape of its kernel, in the order of the network.

    Returns:
      Layer -> kernel height, width, input channels, output channels, number of weights, weights in the layers after it.
      The agent's state has a fixed width: leading axes of kernels with more than four axes count as one height.
    """
    shapes = np.array([four_axes(shape) for shape in kernels.values()], float)
    sizes = shapes.prod(axis=1)
    table = np.column_stack([shapes, sizes, sizes.sum() - np.cumsum(sizes)])
    table /= np.maximum(table.max(axis=0), MIN_WIDTH)
    return {name: tuple(row) for name, row in zip(kernels, table.tolist(), strict=True)}
