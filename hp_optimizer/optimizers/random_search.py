"""Random search: the baseline of all other optimizers."""

from __future__ import annotations

import numpy as np

from pocketflow.hp_optimizer.optimizers.abstract import HyperParamOptimizer
from pocketflow.hp_optimizer.options import OPTIMIZERS


@OPTIMIZERS.register('random')
class RandomOptimizer(HyperParamOptimizer):
    """Draws points uniformly from the unit cube."""

    def _suggest(self) -> np.ndarray:
        return self._random().random(self.num_dims)
