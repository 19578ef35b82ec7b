"""What all optimizers share: ask for a candidate, tell what it was worth."""

from __future__ import annotations

import abc
from collections.abc import Mapping

import numpy as np

from hp_optimizer.domain import Domain, Value, Values
from utils.registry import Registry

OPTIMIZERS = Registry('hyper-parameter optimizer')


class HyperParamOptimizer(abc.ABC):
    """Proposes candidates of a domain and learns from their rewards.

    The first candidate is the centre of the domain (per layer: the uniform solution), so that no search ends worse.
    Every random draw is keyed by the seed and the number of the trial: what `ask` returns is a function of the seed
    and of what was told so far. An optimizer that is told a journal's candidates and rewards in their order thus
    continues exactly as the one that wrote it would have.

    Args:
      domain: what is searched.
      seed: two optimizers of one seed answer the same.
      nb_trials: how many trials there will be, for those that divide them between exploring and improving.
    """

    def __init__(self, domain: Domain, seed: int = 0, nb_trials: int = 100):
        self.domain, self.seed, self.nb_trials = domain, seed, nb_trials
        self.points: list[np.ndarray] = []
        self.rewards: list[float] = []
        self._asked: Values | None = None

    @property
    def nb_dims(self) -> int:
        return len(self.domain.names)

    def ask(self) -> Values:
        """The next candidate, name -> value; the same again until `tell` is called."""
        if self._asked is None:
            point = self._suggest() if self.points else np.full(self.nb_dims, 0.5)
            self._asked = self.domain.decode(point)
        return dict(self._asked)

    def tell(self, values: Mapping[str, Value], reward: float) -> None:
        """Learns what a candidate was worth, this optimizer's own or another one; more is better.

        Raises:
          UsageError: `values` is no candidate of the domain.
        """
        point = self.domain.encode(values)
        self.points.append(point)
        self.rewards.append(float(reward))
        self._learn(values, point, float(reward))
        self._asked = None

    def best_point(self) -> np.ndarray:
        """The point of the first of the candidates with the best reward."""
        return self.points[int(np.argmax(self.rewards))]

    def _random(self, trial: int | None = None) -> np.random.Generator:
        """Randomness of one trial alone, counted from 0; default: of the next to be told."""
        return np.random.default_rng([self.seed, len(self.points) if trial is None else trial])

    @abc.abstractmethod
    def _suggest(self) -> np.ndarray:
        """A point `[D]` of the unit cube to decode; one point at least has been told."""

    def _learn(self, values: Mapping[str, Value], point: np.ndarray, reward: float) -> None:  # noqa: B027 (a hook)
        """Takes in what was told; `points` and `rewards` hold it already."""
