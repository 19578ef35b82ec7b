"""Random search draws from the whole cube, by the seed and the number of the trial alone."""

from __future__ import annotations

import numpy as np

from pocketflow.hp_optimizer.optimizers.random_search import RandomOptimizer
from tests.hp_optimizer.test_domain import Line


def points(seed: int, reward: float, count: int = 200) -> np.ndarray:
    optimizer = RandomOptimizer(Line(), seed)
    for _ in range(count):
        optimizer.tell(optimizer.ask(), reward)
    return np.stack(optimizer.points)


def test_draws_are_uniform_and_heed_no_reward():
    found = points(0, 1.0)
    np.testing.assert_array_equal(found, points(0, -1.0))
    np.testing.assert_allclose(np.histogram(found[1:], 4, (0, 1))[0] / 398, 0.25, atol=0.07)
    assert np.abs(np.corrcoef(found.T)[0, 1]) < 0.2
    assert np.abs(found[1:] - points(1, 1.0)[1:]).min() > 0
