"""The interface of channel selectors: each ranks the input channels of layers."""

from __future__ import annotations

import abc
import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tf_keras as keras

from pocketflow.learners.channel_pruning.refit import LayerRegression
from pocketflow.learners.channel_pruning.regressions import Sampling
from pocketflow.learners.channel_pruning.stream_regression import StreamRegression
from pocketflow.utils.channels import ReaderChannels
from pocketflow.utils.tasks.nests import Nest


@dataclasses.dataclass(frozen=True)
class Supervision:
    """Labels and a loss, for selectors that need gradients of the loss.

    Attributes:
      labels: of the images that channels are chosen on, any structure of arrays `[N, ...]`.
      loss: `loss(labels, outputs)` returns the mean loss of a batch, a scalar tensor.
    """

    labels: Nest
    loss: Callable[[Any, Any], Any]


@dataclasses.dataclass(frozen=True)
class SelectionContext:
    """What a selector may look at before any channel is removed.

    Attributes:
      model: the full model; it must not be modified.
      readers: the layers to be pruned, in the order of execution; each has a linear form.
      sampling: images, and settings for sampling layers.
      supervision: labels and loss, if there are any.
    """

    model: keras.Model
    readers: Mapping[str, ReaderChannels]
    sampling: Sampling
    supervision: Supervision | None = None


class Selector(abc.ABC):
    """Ranks the input channels of layers; `@SELECTORS.register` sets `name`.

    A selector is created once for each model that is pruned.
    """

    name: str
    needs_features = False
    """Whether P'P of each layer is needed, with P the patches of its input (`LayerRegression.equations.normal`)."""
    needs_supervision = False
    """Whether the selector needs labels and a loss."""

    def __init__(self, context: SelectionContext):
        self.context = context

    @abc.abstractmethod
    def order(self, regression: LayerRegression) -> np.ndarray:
        """All input channels of a layer, the most important first, int `[channels]`.

        Called in the order of execution, after the layers before were pruned and re-fitted.
        """

    @abc.abstractmethod
    def joint_order(self, regression: StreamRegression) -> np.ndarray:
        """The free channels of a stream, the most important for all its readers together first.

        Called before any layer is pruned.

        Returns:
          Indices into `regression.free`, int `[free]`.
        """

    def choose(self, regression: LayerRegression, num_keep: int) -> np.ndarray:
        """The channels that a layer keeps, ascending, int `[num_keep]`; by default the first ones of `order`."""
        return np.sort(self.order(regression)[:num_keep])

    def choose_jointly(self, regression: StreamRegression, num_keep: int) -> np.ndarray:
        """The free channels that a stream keeps, ascending; by default the first ones of `joint_order`."""
        return np.sort(self.joint_order(regression)[:num_keep])


class ScoreSelector(Selector):
    """A selector with one score per channel, from the full model: the channels with the highest scores are kept."""

    @abc.abstractmethod
    def score(self) -> Mapping[str, np.ndarray]:
        """Reader -> the score of each of its channels, float64 `[channels]`, not negative; called once."""

    @functools.cached_property
    def scores(self) -> Mapping[str, np.ndarray]:
        return self.score()

    def order(self, regression: LayerRegression) -> np.ndarray:
        return best_first(self.scores[regression.layer.name])

    def joint_order(self, regression: StreamRegression) -> np.ndarray:
        return best_first(regression.summed(self.scores))


def best_first(scores: np.ndarray) -> np.ndarray:
    """Indices by descending score; equal scores in ascending order of their indices.

    >>> best_first(np.array([1.0, 3.0, 1.0])).tolist()
    [1, 0, 2]
    """
    return np.argsort(-scores, kind='stable')
