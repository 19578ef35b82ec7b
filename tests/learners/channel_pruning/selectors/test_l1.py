from __future__ import annotations

import numpy as np

from pocketflow.learners.channel_pruning.selectors.l1 import l1_norms


def test_norms_by_hand():
    weights = np.array([[1.0, -1.0], [3.0, 0.0], [0.5, 0.5], [-1.0, 1.0]])
    assert l1_norms(weights, np.array([0, 1, 2, 0]), 3).tolist() == [4.0, 3.0, 1.0]
    assert l1_norms(weights, np.array([0, 1, 2, 2]), 3).tolist() == [2.0, 3.0, 3.0]
