"""Candidates that are known beforehand, for the same loop as those that are searched."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pocketflow.hp_optimizer import HyperParamOptimizer
from pocketflow.hp_optimizer.domain import Domain, Values


class EnqueuedTrials(HyperParamOptimizer):
    """Asks for given candidates, one after the other.

    Args:
      domain: what they are candidates of.
      candidates: at least one; all different.
    """

    def __init__(self, domain: Domain, candidates: Sequence[Values]):
        super().__init__(domain, num_trials=len(candidates))
        self._candidates = list(candidates)

    def ask_many(self, count: int) -> list[Values]:
        begin = len(self.points)
        return [dict(values) for values in self._candidates[begin : begin + count]]

    def _suggest(self) -> np.ndarray:
        return self.domain.encode(self._candidates[len(self.points)])
