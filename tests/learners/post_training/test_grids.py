"""Grids of weights."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.learners.post_training.grids import nearest, steps, with_full_range


def matrix(*columns: list[float]) -> np.ndarray:
    return np.array(columns, np.float32).T


def test_weights_on_a_grid_keep_it():
    weights = matrix([0.7, -0.3, 0.1], [-1.4, 0.4, 0.2])
    step = steps(weights, 4)
    np.testing.assert_allclose(step, [0.1, 0.2], rtol=1e-6)
    np.testing.assert_array_equal(nearest(weights, step, 4), matrix([7, -3, 1], [-7, 2, 1]))


def test_the_step_has_the_least_squared_error_of_all_candidates():
    weights = np.random.default_rng(0).laplace(size=(500, 3)).astype(np.float32)
    step = steps(weights, 4)

    def error(step: np.ndarray) -> np.ndarray:
        return ((weights - nearest(weights, step, 4) * step) ** 2).sum(0)

    whole = np.abs(weights).max(0) / 7
    assert (step < whole).all() and (error(step) < 0.8 * error(whole)).all()
    assert (error(step) <= error(step * 1.05)).all() and (error(step) <= error(step / 1.05)).all()


@pytest.mark.parametrize('bits', [2, 4, 8])
def test_the_grid_is_found_again_from_the_rounded_weights(bits):
    weights = np.random.default_rng(1).normal(size=(40, 5)).astype(np.float32)
    step = steps(weights, bits)
    codes = with_full_range(np.floor(weights / step).clip(1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1), weights, bits)
    top = 2 ** (bits - 1) - 1
    np.testing.assert_allclose(np.abs(codes * step).max(0) / top, step, rtol=1e-6)


def test_a_channel_of_zeros():
    weights = matrix([0.0, 0.0], [1.0, -0.5])
    assert steps(weights, 4)[0] == 1
    codes = nearest(weights, steps(weights, 4), 4)
    np.testing.assert_array_equal(with_full_range(codes, weights, 4)[:, 0], [0, 0])
