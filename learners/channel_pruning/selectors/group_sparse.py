"""Channel selection by the group LASSO on all weights of a layer, by accelerated proximal gradient.

With P the input patches of a layer and Y its target outputs, the weights W minimise

    ||P W - Y||^2 / 2 + strength * sum of ||W_c|| over the channels c,

with W_c the weights of channel c (Yuan and Lin 2006): the greater the strength, the more of them are zero as a whole.
The first term is quadratic in W: A = P'P and B = P'Y give its exact gradient A W - B, from one pass over the data, and
the greatest eigenvalue of A gives the greatest step with which proximal gradient steps converge (Beck and Teboulle
2009, "A Fast Iterative Shrinkage-Thresholding Algorithm for Linear Inverse Problems").
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import scipy.sparse.linalg

from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.equations import NormalEquations, reconstructions
from pocketflow.learners.channel_pruning.linear_forms import Block
from pocketflow.learners.channel_pruning.refit import LayerRegression
from pocketflow.learners.channel_pruning.selectors.selector import Selector
from pocketflow.learners.channel_pruning.stream_regression import DAMPING, StreamRegression
from pocketflow.utils.system import interrupts

WEAKEST = 1e-4
"""The first strength, relative to that at which all channels vanish."""
GROWTH = 1.2
"""Factor between consecutive strengths."""
MAX_STEPS, TOLERANCE = 50, 1e-3
"""Steps for each strength: at most so many, and until the weights change by less than this share."""
MARGIN = 1.01
"""Factor on the eigenvalue, which is computed to a tolerance."""


@SELECTORS.register('group-sparse')
class GroupSparseSelector(Selector):
    """The channels whose weights vanish last under a growing group-sparse penalty; for a stream, their scales."""

    needs_features = True

    def order(self, regression: LayerRegression) -> np.ndarray:
        gone = list(self._vanishing(regression))
        return np.array([*np.setdiff1d(np.arange(regression.num_channels), gone), *reversed(gone)])

    def choose(self, regression: LayerRegression, num_keep: int) -> np.ndarray:
        channels = np.arange(regression.num_channels)
        return np.setdiff1d(channels, list(itertools.islice(self._vanishing(regression), len(channels) - num_keep)))

    def joint_order(self, regression: StreamRegression) -> np.ndarray:
        gram, cross = regression.equations()
        channels = np.arange(len(cross))
        equations = NormalEquations(gram, cross[:, None], 1.0, 1)
        blocks = [(channels, np.zeros(1, int))]
        gone = list(vanishing(equations, channels, np.ones((len(cross), 1)), DAMPING, blocks))
        return np.array([*np.setdiff1d(channels, gone), *reversed(gone)])

    def _vanishing(self, regression: LayerRegression) -> Iterator[int]:
        equations, blocks = regression.equations.normal(), regression.form.blocks()
        return vanishing(equations, regression.channel_of, regression.weights, regression.ridge, blocks)


def group_norms(weights: np.ndarray, channel_of: np.ndarray, num_channels: int) -> np.ndarray:
    """||W_c|| of each channel, float64 `[num_channels]`."""
    norms: np.ndarray = np.sqrt(np.bincount(channel_of, np.square(weights).sum(axis=1), minlength=num_channels))
    return norms


def group_shrunk(weights: np.ndarray, channel_of: np.ndarray, threshold: float) -> np.ndarray:
    """The proximal operator of the penalty: W_c max(1 - threshold / ||W_c||, 0) for each channel.

    >>> group_shrunk(np.array([[3.0], [4.0], [0.5]]), np.array([0, 0, 1]), 1.0).ravel().tolist()
    [2.4000000000000004, 3.2, 0.0]

    Args:
      weights: W, `[features, outputs]`.
      channel_of: the channel of each feature, int `[features]`.
      threshold: at least 0.
    """
    norms = group_norms(weights, channel_of, int(channel_of.max()) + 1)
    factors: np.ndarray = np.maximum(1 - threshold / np.maximum(norms, np.finfo(float).tiny), 0)
    return weights * factors[channel_of, None]


@dataclasses.dataclass(frozen=True)
class GroupLasso:
    """The problem for some channels.

    Attributes:
      gram: A, float64 `[features, features]`.
      cross: B, float64 `[features, outputs]`.
      channel_of: the channel of each feature, int `[features]`, in 0 .. channels - 1.
      is_free: False for weights that are fixed at zero, between the groups of a grouped convolution;
        bool `[features, outputs]`.
      step: size of the gradient steps, the inverse of A's greatest eigenvalue.
    """

    gram: np.ndarray
    cross: np.ndarray
    channel_of: np.ndarray
    is_free: np.ndarray
    step: float

    def without(self, gone: np.ndarray) -> GroupLasso:
        """The problem for the other channels, which are numbered anew. The step remains short enough."""
        rows = ~np.isin(self.channel_of, gone)
        _, channel_of = np.unique(self.channel_of[rows], return_inverse=True)
        return GroupLasso(
            self.gram[np.ix_(rows, rows)], self.cross[rows], channel_of.reshape(-1), self.is_free[rows], self.step
        )

    def solve(self, start: np.ndarray, strength: float) -> np.ndarray:
        """W for a strength, by accelerated proximal gradient from a start.

        The momentum starts anew whenever it points against the last step (O'Donoghue and Candes 2015).
        """
        weights, point, momentum = start, start, 1.0
        for _ in range(MAX_STEPS):
            gradient = np.where(self.is_free, self.gram @ point - self.cross, 0)
            new = group_shrunk(point - self.step * gradient, self.channel_of, self.step * strength)
            change = new - weights
            if np.linalg.norm(change) <= TOLERANCE * np.linalg.norm(new):
                return new
            if np.sum((point - new) * change) > 0:
                momentum = 1.0
            faster = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            weights, point, momentum = new, new + (momentum - 1) / faster * change, faster
        return weights


def vanishing(
    equations: NormalEquations, channel_of: np.ndarray, weights: np.ndarray, ridge: float, blocks: Sequence[Block]
) -> Iterator[int]:
    """The channels, in the order in which their weights vanish as the strength grows, all but the last.

    Each strength starts from the weights for the one before, the first from the least squares; a channel that has
    vanished stays away. If several vanish at the same strength, that of the smallest norm before comes first. The
    features are scaled to a mean energy of 1 in each channel, so that the penalty does not depend on their units.

    Args:
      equations: A and B.
      channel_of: the channel of each feature, int `[features]`.
      weights: the current weights, `[features, outputs]`.
      ridge: damping, relative to the mean energy of a feature.
      blocks: features and outputs that depend on each other; other weights are zero.
    """
    num_channels = int(channel_of.max()) + 1
    energies = np.bincount(channel_of, np.maximum(np.diag(equations.gram), 0)) / np.bincount(channel_of)
    dead = np.flatnonzero((energies <= 0) | (not equations.cross.any()))
    yield from dead[: num_channels - 1].tolist()
    if len(dead) >= num_channels - 1:
        return
    scale = np.sqrt(np.where(energies > 0, energies, 1.0))[channel_of]
    problem, weights = scaled_problem(equations, channel_of, weights, scale, ridge, blocks)
    strength = WEAKEST * group_norms(problem.cross, channel_of, num_channels).max()
    problem, weights = problem.without(dead), weights[~np.isin(channel_of, dead)]
    alive = np.setdiff1d(np.arange(num_channels), dead)
    while len(alive) > 1:
        interrupts.check()
        before = group_norms(weights, problem.channel_of, len(alive))
        weights = problem.solve(weights, strength)
        gone = np.flatnonzero(group_norms(weights, problem.channel_of, len(alive)) == 0)
        gone = gone[np.argsort(before[gone], kind='stable')][: len(alive) - 1]
        if len(gone):
            yield from alive[gone].tolist()
            weights = weights[~np.isin(problem.channel_of, gone)]
            problem, alive = problem.without(gone), np.delete(alive, gone)
        strength *= GROWTH


def scaled_problem(
    equations: NormalEquations,
    channel_of: np.ndarray,
    weights: np.ndarray,
    scale: np.ndarray,
    ridge: float,
    blocks: Sequence[Block],
) -> tuple[GroupLasso, np.ndarray]:
    """The problem for features that are divided by `scale` `[features]`, and its solution without the penalty.

    Other arguments as for `vanishing`.
    """
    is_free = np.zeros(weights.shape, bool)
    for block in blocks:
        is_free[np.ix_(*block)] = True
    cross = np.where(is_free, equations.cross / scale[:, None], 0)
    scaled = NormalEquations(equations.gram / np.outer(scale, scale), cross, equations.energy, equations.num_rows)
    start = next(reconstructions(scaled, np.arange(len(scale)), [ridge], weights * scale[:, None], blocks))
    gram = scaled.gram + ridge * np.eye(len(scale))
    return GroupLasso(gram, cross, channel_of, is_free, 1 / (MARGIN * greatest_eigenvalue(gram))), start


def greatest_eigenvalue(matrix: np.ndarray) -> float:
    """The greatest eigenvalue of a symmetric matrix without negative eigenvalues."""
    if len(matrix) < 3:
        return float(np.linalg.eigvalsh(matrix)[-1])
    start = np.random.default_rng(0).normal(size=len(matrix))
    return float(scipy.sparse.linalg.eigsh(matrix, 1, v0=start, tol=1e-3, return_eigenvectors=False)[0])
