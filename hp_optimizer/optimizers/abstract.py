"""The ask/tell interface of all optimizers."""

from __future__ import annotations

import abc
from collections.abc import Mapping

import numpy as np

from pocketflow.hp_optimizer.domain import Domain, Value, Values


class HyperParamOptimizer(abc.ABC):
    """Proposes candidates of a domain and learns from their rewards.

    The first candidate is the centre of the domain (per layer: the uniform solution), so that no search ends worse.
    Random draws are seeded by the seed and the number of the trial: the result of `ask` is a function of the seed and
    of the trials told so far. An optimizer that is told the trials of a journal in their order therefore continues
    exactly as the optimizer that wrote it; for trials that were asked for in batches, `expect` must be called, too.

    Args:
      domain: the search domain.
      seed: optimizers of the same seed propose the same candidates.
      num_trials: planned number of trials, for methods that split them into exploration and exploitation.
    """

    def __init__(self, domain: Domain, seed: int = 0, num_trials: int = 100):
        self.domain, self.seed, self.num_trials = domain, seed, num_trials
        self.points: list[np.ndarray] = []
        self.rewards: list[float] = []
        self._asked: list[Values] = []
        self._num_told = 0  # of the candidates in `_asked`

    @property
    def num_dims(self) -> int:
        return len(self.domain.names)

    def ask(self) -> Values:
        """The next candidate, name -> value; the same one until `tell` is called."""
        return self.ask_many(1)[0]

    def ask_many(self, count: int) -> list[Values]:
        """The next `count` candidates, to be evaluated in parallel.

        Returns the same list, for any `count`, until `tell` was called once per candidate. Candidates may be equal, for
        example in a small domain of whole numbers.
        """
        if not self._asked:
            for _ in range(count):
                point = self._suggest() if self._next_trial else np.full(self.num_dims, 0.5)
                self._asked.append(self.domain.decode(point))
        return [dict(values) for values in self._asked]

    def expect(self, count: int) -> None:  # noqa: B027 (a hook)
        """Announces the next `count` trials of a journal, which were asked for in one batch, before they are told.

        For methods whose proposals depend on the batch.
        """

    def tell(self, values: Mapping[str, Value], reward: float) -> None:
        """Takes the reward of a candidate, proposed by this optimizer or not; larger is better.

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
        """The number, from 0, of the trial for which `_suggest` returns a point."""
        return len(self.points) + len(self._asked)

    def _random(self, trial: int | None = None) -> np.random.Generator:
        """The random generator of one trial, counted from 0; default: of the next one."""
        return np.random.default_rng([self.seed, self._next_trial if trial is None else trial])

    @abc.abstractmethod
    def _suggest(self) -> np.ndarray:
        """A point `[D]` of the unit cube to decode.

        Not called for the first trial, but possibly before any trial was told: `_asked` holds the pending candidates of
        the same batch.
        """

    def _learn(self, values: Mapping[str, Value], point: np.ndarray, reward: float) -> None:  # noqa: B027 (a hook)
        """Updates the method's own state after `tell`; `points` and `rewards` already hold the trial."""
