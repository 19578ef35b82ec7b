"""Channel selection at random, as a baseline for other selectors."""

from __future__ import annotations

import numpy as np

from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.refit import LayerRegression
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext, Selector
from pocketflow.learners.channel_pruning.stream_regression import StreamRegression


@SELECTORS.register('random')
class RandomSelector(Selector):
    """Channels in random order, drawn with the seed of the sampling."""

    def __init__(self, context: SelectionContext):
        super().__init__(context)
        self._rng = np.random.default_rng(context.sampling.seed)

    def order(self, regression: LayerRegression) -> np.ndarray:
        return self._rng.permutation(regression.num_channels)

    def joint_order(self, regression: StreamRegression) -> np.ndarray:
        return self._rng.permutation(len(regression.free))
