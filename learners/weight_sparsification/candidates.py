"""Search candidates of `weight-sparse`: a share of zeros per layer."""

from __future__ import annotations

import dataclasses
import functools
import math
import sys
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.hp_optimizer import Kind, Layer, Parameter, SearchProblem, SearchSpace
from pocketflow.hp_optimizer.domain import Domain, Value, Values, as_number
from pocketflow.learners.search.candidates import Candidates, layer_features
from pocketflow.learners.search.file_bytes import CONTAINER, rest_bytes, sparse_bytes
from pocketflow.learners.weight_sparsification.masks import apply_mask, magnitude_mask, num_zeros
from pocketflow.utils.graph import copied
from pocketflow.utils.training.trainer import TrainerParts


def sparsity_bounds(ratio: float, size: int) -> tuple[float, float]:
    """Bounds for the share of zeros of a layer: a third to three times the mean density, and at least one weight left.

    >>> sparsity_bounds(0.5, 600)
    (0.0, 0.8333333333333334)
    """
    return max(0.0, 1 - 3 * (1 - ratio)), min(1 - (1 - ratio) / 3, 1 - 1 / size)


def multi_objective(quality: float, sparsity: float) -> float:
    """Reward of searches without a budget: accuracy ln(1 + sparsity).

    A negative quality, of a metric that is better when smaller, is divided by ln(1 + sparsity) instead, so that more
    zeros give a larger reward, too.

    >>> multi_objective(0.5, math.e - 1), multi_objective(-0.5, math.e - 1)
    (0.5, -0.5)
    """
    factor = math.log(1 + sparsity)
    return quality * factor if quality >= 0 else quality / max(factor, sys.float_info.epsilon)


class SparsityCandidates(Candidates):
    """Candidates in which the smallest weights of each layer are masked.

    Args:
      model: the trained model; it is not modified.
      kernels: pruned layer -> its kernels in the model.
      ratio: budget, the share of zeros over all of them.
      has_budget: if False, shares are only limited by the bounds of each layer, and the reward includes the sparsity.
      max_bytes: budget in bytes of the exported container, in place of `ratio`.
      parts: parts of the training other than masks.
    """

    searched = 'sparsity'

    def __init__(
        self,
        model: keras.Model,
        kernels: Mapping[str, Sequence[tf.Variable]],
        ratio: float,
        has_budget: bool,
        max_bytes: int | None,
        parts: TrainerParts,
    ):
        self.model = copied(model)
        places = {id(variable): place for place, variable in enumerate(model.weights)}
        self._kernels = {
            name: [self.model.weights[places[id(kernel)]] for kernel in variables]
            for name, variables in kernels.items()
        }
        self._masks = {
            name: [tf.Variable(tf.ones(kernel.shape, tf.bool), trainable=False) for kernel in variables]
            for name, variables in self._kernels.items()
        }
        self.parts = dataclasses.replace(
            parts, constraint=self._constrain, state=[mask for masks in self._masks.values() for mask in masks]
        )
        self.sizes = {
            name: sum(int(np.prod(kernel.shape)) for kernel in variables) for name, variables in kernels.items()
        }
        self._total = sum(self.sizes.values())
        self._has_budget = has_budget
        self.cost_unit = 'non-zero weights' if max_bytes is None else f'bytes of {CONTAINER}'
        self.domain, self.budget = self._problem(ratio, max_bytes) if has_budget else (self._space(ratio), None)

    def _problem(self, ratio: float, max_bytes: int | None) -> tuple[Domain, str]:
        features = layer_features({name: variables[0].shape for name, variables in self._kernels.items()})
        if max_bytes is None:
            return SearchProblem(
                [
                    Layer(name, *sparsity_bounds(ratio, size), functools.partial(_kept, size), features[name])
                    for name, size in self.sizes.items()
                ],
                (1 - ratio) * self._total,
                describe=self._as_sparsity,
            ), f'a sparsity of {ratio:g}'
        rest = rest_bytes(self.model, self.sizes)
        return SearchProblem(
            [
                Layer(name, 0.0, 1 - 1 / size, functools.partial(sparse_bytes, size), features[name])
                for name, size in self.sizes.items()
            ],
            max_bytes - rest,
            describe=lambda cost: f'a file of {cost + rest:,.0f} bytes',
        ), f'a file of {max_bytes:,} bytes'

    def _as_sparsity(self, cost: float) -> str:
        return f'a sparsity of {1 - cost / self._total:.4g}'

    def _space(self, ratio: float) -> SearchSpace:
        return SearchSpace(
            [Parameter(name, Kind.FLOAT, *sparsity_bounds(ratio, size)) for name, size in self.sizes.items()],
            cost=lambda values: (1 - self._sparsity(values)) * self._total,
        )

    def _sparsity(self, values: Mapping[str, Value]) -> float:
        return sum(as_number(values[name]) * size for name, size in self.sizes.items()) / self._total

    def apply(self, values: Values) -> None:
        for name, kernels in self._kernels.items():
            for kernel, mask in zip(kernels, self._masks[name], strict=True):
                mask.assign(magnitude_mask(kernel, num_zeros(as_number(values[name]), tf.size(kernel))))
        self._constrain()

    def _constrain(self, step: tf.Tensor | None = None) -> None:
        for name, kernels in self._kernels.items():
            for kernel, mask in zip(kernels, self._masks[name], strict=True):
                apply_mask(kernel, mask)

    def reward(self, quality: float, values: Values) -> float:
        return quality if self._has_budget else multi_objective(quality, self._sparsity(values))


def _kept(size: int, sparsity: float) -> float:
    return size * (1 - sparsity)
