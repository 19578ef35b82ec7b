"""Expected improvement."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.hp_optimizer.optimizers.gp import GaussianProcessOptimizer, expected_improvement
from pocketflow.hp_optimizer.synthetic import sparsity_problem


def test_expected_improvement_by_hand():
    # phi(0) = 0.39894; at z = 1: Phi = 0.841345, phi = 0.241971.
    mean, std = np.array([0.0, 2.0, 5.0, -5.0]), np.array([1.0, 2.0, 0.0, 0.0])
    assert expected_improvement(mean, std, 0.0) == pytest.approx(
        [0.398942, 2 * 0.841345 + 2 * 0.241971, 5.0, 0.0], abs=1e-5
    )


def test_it_is_what_it_says():
    draws = np.random.default_rng(0).normal(0.3, 0.7, 400_000)
    assert expected_improvement(np.array([0.3]), np.array([0.7]), 0.5)[0] == pytest.approx(
        np.maximum(draws - 0.5, 0).mean(), rel=0.01
    )


def test_what_is_asked_is_believed_to_turn_out_as_expected():
    problem, reward = sparsity_problem(num_layers=3)
    optimizer = GaussianProcessOptimizer(problem, 0, 20, num_startup=6)
    for _ in range(6):
        values = optimizer.ask()
        optimizer.tell(values, reward(values))
    plain = optimizer._fitted(np.array(optimizer.rewards) - np.mean(optimizer.rewards))
    first, _ = optimizer.ask_many(2)
    optimizer._asked = [first]
    believing, place = optimizer._conditioned_on_pending(plain), problem.encode(first)[None] - 0.5
    assert len(believing.X_train_) == 7 and believing.kernel_ == plain.kernel_
    (mean,), (std,) = plain.predict(place, return_std=True)
    (same,), (less,) = believing.predict(place, return_std=True)
    assert believing.y_train_[-1] == pytest.approx(mean) and same == pytest.approx(mean, abs=1e-4)
    assert less < 0.9 * std
