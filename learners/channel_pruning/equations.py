"""The least-squares problem of a layer: its normal equations, or its rows if these are smaller.

Both forms have the same interface. With P `[rows, features]` the input patches of the layer, Y `[rows, outputs]` its
target outputs and W `[features, outputs]` its weights, they compute:
  * ||P W - Y||^2 for any W;
  * P' (P W - Y), half the gradient of that;
  * the regression of Y on the contributions P_i W_i of the channels;
  * W on some features, shrunk towards a start W0: the minimum of ||P W - Y||^2 + d ||W - W0||^2.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import scipy.linalg
import tensorflow as tf

from pocketflow.learners.channel_pruning import grams
from pocketflow.learners.channel_pruning.linear_forms import Block

ROWS_AT_A_TIME = 256


@dataclasses.dataclass(frozen=True)
class NormalEquations:
    """The normal equations of patches and targets.

    Attributes:
      gram: A = P'P, float64 `[features, features]`.
      cross: B = P'Y, float64 `[features, outputs]`.
      energy: sum of squares of Y.
      num_rows: number of sampled positions.
    """

    gram: np.ndarray
    cross: np.ndarray
    energy: float
    num_rows: int

    def __add__(self, other: NormalEquations) -> NormalEquations:
        return NormalEquations(
            self.gram + other.gram, self.cross + other.cross, self.energy + other.energy, self.num_rows + other.num_rows
        )

    def residual(self, weights: np.ndarray) -> float:
        """||P W - Y||^2 for weights W `[features, outputs]`."""
        return float(np.sum(weights * (self.gram @ weights)) - 2 * np.sum(weights * self.cross) + self.energy)

    def half_gradient(self, weights: np.ndarray) -> np.ndarray:
        """P' (P W - Y) `[features, outputs]`: half the gradient of `residual` with respect to W."""
        return self.gram @ weights - self.cross

    def normal(self) -> NormalEquations:
        return self

    def channel_regression(
        self, weights: np.ndarray, channel_of: np.ndarray, blocks: Sequence[Block] = ()
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gram matrix and right-hand side of the regression on channel contributions, He et al. 2017, equation (2).

        The regressor of channel i is Z_i = P_i W_i, the part of the output that comes from it, so that
        G_ij = <Z_i, Z_j> = sum(A_ij * W_i W_j') and h_i = <Z_i, Y> = sum(B_i * W_i).

        Args:
          weights: W, `[features, outputs]`.
          channel_of: the channel of each feature, int `[features]`, in 0 .. channels - 1.
          blocks: features and outputs that depend on each other; default: all do.

        Returns:
          G `[channels, channels]` and h `[channels]`.
        """
        gram = grams.channel_sums(self.gram * (weights @ weights.T), channel_of)
        return gram, np.bincount(channel_of, np.sum(self.cross * weights, axis=1))

    def shrunk(self, block: Block, start: np.ndarray, ridges: Iterable[float]) -> Iterator[np.ndarray]:
        """W on a block of features and outputs for each damping: W0 + (A + d)^-1 (B - A W0).

        Args:
          block: indices of features and of outputs.
          start: W0 on the block.
          ridges: the dampings d, relative to the mean energy of a feature.
        """
        gram = self.gram[np.ix_(block[0], block[0])]
        lack = self.cross[np.ix_(*block)] - gram @ start
        for ridge in ridges:
            yield start + _solved(gram, ridge * np.trace(gram) / len(gram), lack)


@dataclasses.dataclass(frozen=True)
class SampledRows:
    """The sampled rows, for layers with more features than rows.

    Attributes:
      patches: P, `[rows, features]`.
      targets: Y, `[rows, outputs]`.
    """

    patches: np.ndarray
    targets: np.ndarray

    def __add__(self, other: SampledRows) -> SampledRows:
        return SampledRows(np.concatenate([self.patches, other.patches]), np.concatenate([self.targets, other.targets]))

    @property
    def num_rows(self) -> int:
        return len(self.targets)

    @functools.cached_property
    def energy(self) -> float:
        return float(np.sum(np.square(self.targets, dtype=np.float64)))

    def residual(self, weights: np.ndarray) -> float:
        """As `NormalEquations.residual`."""
        return sum(float(np.sum(np.square(patches @ weights - targets))) for patches, targets in self._pieces())

    def half_gradient(self, weights: np.ndarray) -> np.ndarray:
        """As `NormalEquations.half_gradient`."""
        parts = (patches.T @ (patches @ weights - targets) for patches, targets in self._pieces())
        return sum(parts, np.zeros(weights.shape))

    def normal(self) -> NormalEquations:
        """Converts to normal equations, `[features, features]`."""
        patches = self.patches.astype(np.float64)
        return NormalEquations(patches.T @ patches, patches.T @ self.targets, self.energy, self.num_rows)

    def channel_regression(
        self, weights: np.ndarray, channel_of: np.ndarray, blocks: Sequence[Block] = ()
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `NormalEquations.channel_regression`."""
        parts = (
            grams.blockwise_gram(tf.constant(patches), weights, channel_of, blocks) for patches, _ in self._pieces()
        )
        gram = sum(parts, np.zeros(()))
        per_feature = sum(np.einsum('rf,rf->f', patches, targets @ weights.T) for patches, targets in self._pieces())
        return gram, np.bincount(channel_of, per_feature)

    def shrunk(self, block: Block, start: np.ndarray, ridges: Iterable[float]) -> Iterator[np.ndarray]:
        """As `NormalEquations.shrunk`, in the dual form W0 + P' (P P' + d)^-1 (Y - P W0), with one unknown per row."""
        patches = self.patches[:, block[0]].astype(np.float64)
        lack = self.targets[:, block[1]] - patches @ start
        kernel = patches @ patches.T
        for ridge in ridges:
            yield start + patches.T @ _solved(kernel, ridge * np.trace(kernel) / patches.shape[1], lack)

    def _pieces(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for begin in range(0, self.num_rows, ROWS_AT_A_TIME):
            piece = slice(begin, begin + ROWS_AT_A_TIME)
            yield self.patches[piece].astype(np.float64), self.targets[piece].astype(np.float64)


Equations = NormalEquations | SampledRows


@dataclasses.dataclass(frozen=True)
class SplitEquations:
    """Equations of the images on which weights are fitted, and of a held-out split for validation.

    Attributes:
      fitting, held_out: equations of disjoint images; one of them may have no rows.
      num_distinct: number of rows of `fitting` that differ in image or position.
    """

    fitting: Equations
    held_out: Equations
    num_distinct: int

    @functools.cached_property
    def whole(self) -> Equations:
        """The equations of all images."""
        fitting, held_out = self.fitting, self.held_out
        if isinstance(fitting, NormalEquations) and isinstance(held_out, NormalEquations):
            return fitting + held_out
        if isinstance(fitting, SampledRows) and isinstance(held_out, SampledRows):
            return fitting + held_out
        raise TypeError('the equations to fit on and those held out are of two forms')


def is_kept_as_rows(num_features: int, num_rows: int) -> bool:
    """Whether the rows of a layer need less memory than its normal equations."""
    return num_rows < num_features


def equation_bytes(shape: tuple[int, int], num_rows: int, needs_gram: bool = False) -> int:
    """Estimated peak memory of selecting channels and re-fitting for one layer, in bytes.

    Args:
      shape: (features, outputs) of the layer.
      num_rows: number of rows of its equations.
      needs_gram: whether the selector needs A, for both forms.
    """
    features, outputs = shape
    weights = 6 * 8 * features * outputs
    # Gram matrices of the two parts and of both; in addition products, inverses or factors, and a temporary.
    gram = 6 * 8 * features**2
    if not is_kept_as_rows(features, num_rows):
        return weights + gram
    # Rows in float32, in parts, joined, and of both parts; some of them in float64; P P' and its factors.
    rows = 20 * num_rows * (features + outputs) + 24 * num_rows**2
    return weights + rows + (gram if needs_gram else 0)


def _solved(matrix: np.ndarray, damping: float, right: np.ndarray) -> np.ndarray:
    # If all inputs are zero, any weights are a solution; a damping of 1 gives the start weights.
    return scipy.linalg.solve(matrix + (damping or 1.0) * np.eye(len(matrix)), right, assume_a='pos')


def reconstructions(
    equations: Equations, kept: np.ndarray, ridges: Iterable[float], start: np.ndarray, blocks: Iterable[Block]
) -> Iterator[np.ndarray]:
    """Least-squares weights on the kept features, He et al. 2017, equation (3), for each damping.

    Minimises ||P W - Y||^2 / N + ridge * mean(diag A / N) * ||W - W0||^2 over the W that are zero outside `kept`.

    Args:
      equations: of N rows.
      kept: indices of the kept features.
      ridges: relative to the mean energy of a feature; above 0, which keeps the solution unique.
      start: W0 `[features, outputs]`.
      blocks: features and outputs that depend on each other; weights are zero elsewhere.

    Yields:
      W `[features, outputs]`.
    """
    ridges = list(ridges)
    parts = [(np.intersect1d(features, kept), outputs) for features, outputs in blocks]
    parts = [part for part in parts if len(part[0])]
    paths = [equations.shrunk(part, start[np.ix_(*part)], ridges) for part in parts]
    for solutions in zip(*paths, strict=True):
        weights = np.zeros_like(start)
        for part, solution in zip(parts, solutions, strict=True):
            weights[np.ix_(*part)] = solution
        yield weights
