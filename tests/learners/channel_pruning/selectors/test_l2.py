from __future__ import annotations

import numpy as np

from pocketflow.learners.channel_pruning.selectors.l2 import l2_norms
from tests.learners.channel_pruning.test_refit import regressions, selector


def test_norms_by_hand():
    weights = np.array([[3.0, 0.0], [0.0, -1.0], [4.0, 0.0], [0.0, 0.0]])
    assert l2_norms(weights, np.array([0, 1, 0, 2]), 3).tolist() == [5.0, 1.0, 0.0]


def test_a_large_weight_counts_more_than_several_small_ones():
    layer = regressions()['logits']
    kernel = np.full((16, 10), 0.1)
    kernel[3] = [0.9, *9 * [0.0]]
    before = layer.layer.kernel.numpy()
    full = selector('l2').context.model.get_layer('logits')
    kept = full.kernel.numpy()
    try:
        full.kernel.assign(kernel)
        assert selector('l2').order(layer)[0] == 3 and selector('l1').order(layer)[-1] == 3
    finally:
        full.kernel.assign(kept)
    np.testing.assert_array_equal(layer.layer.kernel, before)
