"""What all optimizers share: ask for a candidate, tell what it was worth."""

from __future__ import annotations

import abc
from collections.abc import Mapping

import numpy as np

from pocketflow.hp_optimizer.domain import Domain, Value, Values


class HyperParamOptimizer(abc.ABC):
    """Proposes candidates of a domain and learns from their rewards.

    The first candidate is the centre of the domain (per layer: the uniform solution), so that no search ends worse.
    Every random draw is keyed by the seed and the number of the trial: what `ask` returns is a function of the seed
    and of what was told so far. An optimizer that is told a journal's candidates and rewards in their order thus
    continues exactly as the one that wrote it would have; where several were asked for at once, it must also be told
    by `expect` which were.

    Args:
      domain: what is searched.
      seed: two optimizers of one seed answer the same.
      num_trials: how many trials there will be, for those that divide them between exploring and improving.
    """

    def __init__(self, domain: Domain, seed: int = 0, num_trials: int = 100):
        self.domain, self.seed, self.num_trials = domain, seed, num_trials
        self.points: list[np.ndarray] = []
        self.rewards: list[float] = []
        self._asked: list[Values] = []
        self._num_told = 0  # of those asked

    @property
    def num_dims(self) -> int:
        return len(self.domain.names)

    def ask(self) -> Values:
        """The next candidate, name -> value; the same again until `tell` is called."""
        return self.ask_many(1)[0]

    def ask_many(self, count: int) -> list[Values]:
        """The next `count` candidates, to be evaluated side by side.

        The same list again, whatever `count`, until `tell` was called as often as it is long. Few candidates or whole
        numbers may make two of them equal.
        """
        if not self._asked:
            for _ in range(count):
                point = self._suggest() if self._next_trial else np.full(self.num_dims, 0.5)
                self._asked.append(self.domain.decode(point))
        return [dict(values) for values in self._asked]

    def expect(self, count: int) -> None:  # noqa: B027 (a hook)
        """To be called before a journal's next `count` trials are told, if they were asked for at once.

        For methods that depend on more than what was told.
        """

    def tell(self, values: Mapping[str, Value], reward: float) -> None:
        """Learns what a candidate was worth, this optimizer's own or another one; more is better.

        Raises:
          UsageError: `values` is no candidate of the domain.
        """
        point = self.domain.encode(values)
        self.points.append(point)
        self.rewards.append(float(reward))
        self._learn(values, point, float(reward))
        self._num_told += 1
        if self._num_told >= len(self._asked):
            self._asked, self._num_told = [], 0

    @property
    def _next_trial(self) -> int:
        """The number, from 0, of the trial that `_suggest` is to find a point for."""
        return len(self.points) + len(self._asked)

    def _random(self, trial: int | None = None) -> np.random.Generator:
        """Randomness of one trial alone, counted from 0; default: of the one to be suggested."""
        return np.random.default_rng([self.seed, self._next_trial if trial is None else trial])

    @abc.abstractmethod
    def _suggest(self) -> np.ndarray:
        """A point `[D]` of the unit cube to decode.

        Never the first, but perhaps before any was told: `_asked` holds the candidates before it in the same batch.
        """

    def _learn(self, values: Mapping[str, Value], point: np.ndarray, reward: float) -> None:  # noqa: B027 (a hook)
        """Takes in what was told; `points` and `rewards` hold it already."""
