"""Channel selection by the l1 norm of the weights (Li et al. 2017, https://arxiv.org/abs/1608.08710)."""

from __future__ import annotations

import numpy as np


def norm_channels(weights: np.ndarray, channel_of: np.ndarray, num_keep: int) -> np.ndarray:
    """The channels whose weights have the largest l1 norm (Li et al. 2017, https://arxiv.org/abs/1608.08710)."""
    return np.sort(norm_order(weights, channel_of)[:num_keep])


def norm_order(weights: np.ndarray, channel_of: np.ndarray) -> np.ndarray:
    """All channels, those with the largest l1 norm first."""
    return np.argsort(-np.bincount(channel_of, np.sum(np.abs(weights), axis=1)), kind='stable')
