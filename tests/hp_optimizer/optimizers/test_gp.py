"""Expected improvement."""

from __future__ import annotations

import numpy as np
import pytest

from hp_optimizer.optimizers.gp import expected_improvement


def test_expected_improvement_by_hand():
    # phi(0) = 0.39894; at z = 1: Phi = 0.841345, phi = 0.241971.
    mean, std = np.array([0.0, 2.0, 5.0, -5.0]), np.array([1.0, 2.0, 0.0, 0.0])
    assert expected_improvement(mean, std, 0.0) == pytest.approx(
        [0.398942, 2 * 0.841345 + 2 * 0.241971, 5.0, 0.0], abs=1e-5)


def test_it_is_what_it_says():
    draws = np.random.default_rng(0).normal(0.3, 0.7, 400_000)
    assert expected_improvement(np.array([0.3]), np.array([0.7]), 0.5)[0] == pytest.approx(
        np.maximum(draws - 0.5, 0).mean(), rel=0.01)
