from __future__ import annotations

import numpy as np

from pocketflow.learners.channel_pruning.selectors.l1 import norm_channels, norm_order


def test_the_channel_with_the_largest_sum_of_absolute_weights_is_kept():
    weights, channel_of = np.array([[1.0, -1.0], [3.0, 0.0], [0.0, 0.5], [0.0, 0.0]]), np.array([0, 1, 0, 1])
    assert norm_channels(weights, channel_of, 1).tolist() == [1]  # 3 against 2.5


def test_norms_order_by_hand():
    weights = np.array([[1.0, -1.0], [3.0, 0.0], [0.5, 0.5], [-1.0, 1.0]])
    assert norm_order(weights, np.array([0, 1, 2, 0])).tolist() == [0, 1, 2]
    assert norm_order(weights, np.array([0, 1, 2, 2])).tolist() == [1, 2, 0]
