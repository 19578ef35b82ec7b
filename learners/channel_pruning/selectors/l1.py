"""Channel selection by the l1 norm of the weights (Li et al. 2017, https://arxiv.org/abs/1608.08710)."""

from __future__ import annotations

import numpy as np
import tf_keras as keras

from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.linear_forms import known_linear_form
from pocketflow.learners.channel_pruning.selectors.selector import ScoreSelector
from pocketflow.utils.channels import ReaderChannels


def l1_norms(weights: np.ndarray, channel_of: np.ndarray, num_channels: int) -> np.ndarray:
    """The l1 norm of each channel's weights, float64 `[num_channels]`.

    Args:
      weights: `[features, outputs]`.
      channel_of: the channel of each feature, int `[features]`.
      num_channels: number of channels.
    """
    return np.bincount(channel_of, np.abs(weights).sum(axis=1), minlength=num_channels)


def weight_norms(model: keras.Model, reader: ReaderChannels) -> np.ndarray:
    """The l1 norm of the weights of each channel of a reader that has a linear form, float64 `[channels]`."""
    form = known_linear_form(model.get_layer(reader.name))
    return l1_norms(form.weights(), form.channel_of(reader.positions), reader.num_channels)


@SELECTORS.register('l1')
class L1Selector(ScoreSelector):
    """The channels whose weights have the largest l1 norm (Li et al. 2017, https://arxiv.org/abs/1608.08710)."""

    def score(self) -> dict[str, np.ndarray]:
        return {name: weight_norms(self.context.model, reader) for name, reader in self.context.readers.items()}
