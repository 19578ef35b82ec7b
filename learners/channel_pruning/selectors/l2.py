"""Channel selection by the l2 norm of the weights."""

from __future__ import annotations

import numpy as np

from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.linear_forms import known_linear_form
from pocketflow.learners.channel_pruning.selectors.selector import ScoreSelector


def l2_norms(weights: np.ndarray, channel_of: np.ndarray, num_channels: int) -> np.ndarray:
    """The l2 norm of each channel's weights, float64 `[num_channels]`.

    Args:
      weights: `[features, outputs]`.
      channel_of: the channel of each feature, int `[features]`.
      num_channels: number of channels.
    """
    norms: np.ndarray = np.sqrt(np.bincount(channel_of, np.square(weights).sum(axis=1), minlength=num_channels))
    return norms


@SELECTORS.register('l2')
class L2Selector(ScoreSelector):
    """The channels whose weights have the largest l2 norm, which weighs large weights more than the l1 norm does."""

    def score(self) -> dict[str, np.ndarray]:
        return {name: self._norms(name) for name in self.context.readers}

    def _norms(self, name: str) -> np.ndarray:
        form, reader = known_linear_form(self.context.model.get_layer(name)), self.context.readers[name]
        return l2_norms(form.weights(), form.channel_of(reader.positions), reader.num_channels)
