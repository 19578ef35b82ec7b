"""An optimizer that proposes given candidates, for the search loop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pocketflow.hp_optimizer import HyperParamOptimizer
from pocketflow.hp_optimizer.domain import Domain, Values


class EnqueuedTrials(HyperParamOptimizer):
    """Proposes given candidates in order.

    Args:
      domain: the search domain.
      candidates: one or more different candidates.
    """

    def __init__(self, domain: Domain, candidates: Sequence[Values]):
        super().__init__(domain, num_trials=len(candidates))
        self._candidates = list(candidates)

    def ask_many(self, count: int) -> list[Values]:
        begin = len(self.points)
        return [dict(values) for values in self._candidates[begin : begin + count]]

    def _suggest(self) -> np.ndarray:
        return self.domain.encode(self._candidates[len(self.points)])
