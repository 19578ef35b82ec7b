"""Bayesian optimization: a Gaussian process for the reward, expected improvement for the next candidate.

Jones et al., Efficient Global Optimization of Expensive Black-Box Functions, 1998; the process is from scikit-learn.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np

from pocketflow.hp_optimizer.domain import Domain
from pocketflow.hp_optimizer.optimizers.abstract import HyperParamOptimizer
from pocketflow.hp_optimizer.options import OPTIMIZERS


@functools.cache
def _new_process() -> Any:
    """An unfitted process: linear kernel + Matern 5/2 kernel + noise.

    There are about as many trials as dimensions, too few to fit a length scale per dimension: the linear kernel models
    one slope per dimension; the Matern kernel, with one common length scale, models the deviation from it.
    """
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern, WhiteKernel

    smooth = ConstantKernel(1.0, (1e-2, 1e2)) * Matern(1.0, (0.1, 20.0), nu=2.5)
    linear = ConstantKernel(0.1, (1e-3, 1e2)) * DotProduct(0.1, 'fixed')
    return GaussianProcessRegressor(smooth + linear + WhiteKernel(1e-2, (1e-6, 1.0)))


def expected_improvement(mean: np.ndarray, std: np.ndarray, best: float) -> np.ndarray:
    """`E[max(f - best, 0)]` for normal `f`: `(mean - best) Phi(z) + std phi(z)` with `z = (mean - best) / std`."""
    from scipy.stats import norm

    std = np.maximum(std, 1e-12)
    z = (mean - best) / std
    return (mean - best) * norm.cdf(z) + std * norm.pdf(z)


@OPTIMIZERS.register('gp')
class GaussianProcessOptimizer(HyperParamOptimizer):
    """Fits a Gaussian process to the trials and proposes the candidate of the largest expected improvement.

    The improvement is maximised by random search near the best known points and in the whole cube, in rounds, each
    around the best points of the round before. Points are replaced by those of their candidates; known and pending ones
    are excluded.

    In a batch, each candidate is chosen with the process conditioned on its own mean at the pending ones, with fixed
    kernel parameters ("kriging believer", Ginsbourger et al., Kriging Is Well-Suited to Parallelize Optimization, 2010,
    section 4.2).

    Args:
      num_startup: trials drawn at random before the first fit; default: a tenth of all trials, at most 10.
      num_rounds, num_candidates: rounds, and points per round, of the maximisation.
    """

    def __init__(
        self,
        domain: Domain,
        seed: int = 0,
        num_trials: int = 100,
        num_startup: int | None = None,
        num_rounds: int = 4,
        num_candidates: int = 80,
    ):
        super().__init__(domain, seed, num_trials)
        self.num_startup = min(10, max(1, num_trials // 10)) if num_startup is None else num_startup
        self.num_rounds, self.num_candidates = num_rounds, num_candidates

    def _suggest(self) -> np.ndarray:
        random = self._random()
        if self._next_trial < self.num_startup or not self.points:
            return random.random(self.num_dims)
        rewards = np.array(self.rewards)
        scaled = (rewards - rewards.mean()) / (rewards.std() or 1.0)
        process = self._conditioned_on_pending(self._fitted(scaled))
        best = process.y_train_.max()

        def gain(points: np.ndarray) -> np.ndarray:
            mean, std = process.predict(points, return_std=True)
            return expected_improvement(mean, std, best)

        return self._maximized(gain, random)

    def _fitted(self, scaled: np.ndarray) -> Any:
        from sklearn.base import clone
        from threadpoolctl import threadpool_limits

        process = clone(_new_process())
        # For matrices of this size several threads are slower than one.
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter('ignore')  # a length scale may end at its bound
            return process.fit(np.stack(self.points) - 0.5, scaled)

    def _conditioned_on_pending(self, process: Any) -> Any:
        """The process conditioned on its own mean at the pending candidates."""
        if not self._asked:
            return process
        from sklearn.base import clone

        points = self._asked_points() - 0.5
        believing = clone(process).set_params(kernel=process.kernel_, optimizer=None)
        return believing.fit(
            np.concatenate([process.X_train_, points]), np.concatenate([process.y_train_, process.predict(points)])
        )

    def _asked_points(self) -> np.ndarray:
        return np.array([self.domain.encode(values) for values in self._asked]).reshape(-1, self.num_dims)

    def _maximized(self, gain: Any, random: np.random.Generator) -> np.ndarray:
        """The point of the largest `gain` found; a random point if only known candidates were found."""
        best, best_gain = random.random(self.num_dims), -np.inf
        starts = np.stack([self.points[place] for place in np.argsort(self.rewards)[::-1][:5]])
        width = 0.3
        for _ in range(self.num_rounds):
            points = self._reachable(self._around(starts, width, random))
            if len(points):
                gains = gain(points - 0.5)
                order = np.argsort(-gains)
                if gains[order[0]] > best_gain:
                    best, best_gain = points[order[0]], gains[order[0]]
                starts, width = np.concatenate([[best], points[order[:4]]]), width / 2
        return best

    def _around(self, starts: np.ndarray, width: float, random: np.random.Generator) -> np.ndarray:
        """Points near `starts` with a random share of the coordinates changed; a tenth are uniform in the cube."""
        places = random.integers(len(starts), size=self.num_candidates)
        moved = random.random((self.num_candidates, self.num_dims)) < random.choice(
            [0.1, 0.3, 1.0], (self.num_candidates, 1)
        )
        points = starts[places] + moved * random.normal(0, width, moved.shape)
        num_anywhere = self.num_candidates // 10
        points[:num_anywhere] = random.random((num_anywhere, self.num_dims))
        return np.clip(points, 0, 1)

    def _reachable(self, points: np.ndarray) -> np.ndarray:
        """The points of the candidates at `points` after projection, without known and pending ones."""
        known = {point.tobytes() for point in (*self.points, *self._asked_points())}
        real = [self.domain.encode(self.domain.decode(point)) for point in points]
        return np.array([point for point in real if point.tobytes() not in known])
