"""AdaRound: its formulas, and that it lessens the error of a layer."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.learners.post_training.adaround import (
    Reconstruction,
    adaround,
    beta_at,
    inverse_rectified_sigmoid,
    rectified_sigmoid,
    regularizer,
)
from pocketflow.learners.post_training.grids import nearest, steps


def test_rectified_sigmoid_and_its_inverse():
    # sigmoid(0) = 0.5: 0.5 * 1.2 - 0.1; sigmoid(log 3) = 0.75: 0.75 * 1.2 - 0.1
    np.testing.assert_allclose(rectified_sigmoid(tf.math.log([1.0, 3.0])), [0.5, 0.8], rtol=1e-6)
    np.testing.assert_allclose(rectified_sigmoid([-9.0, 9.0]), [0, 1])
    shares = np.array([0.01, 0.3, 0.99])
    np.testing.assert_allclose(rectified_sigmoid(inverse_rectified_sigmoid(shares)), shares, rtol=1e-6)


def test_regularizer_and_its_exponent():
    assert float(regularizer(tf.constant([0.0, 0.25, 0.5, 1.0]), 2.0)) == pytest.approx(0.75 + 1)
    assert float(regularizer(tf.constant([0.25]), 3.0)) == pytest.approx(1 - 0.125)
    assert float(beta_at(0.0)) == 20 and float(beta_at(0.6)) == pytest.approx(11) and float(beta_at(1.0)) == 2


@pytest.mark.parametrize(('groups', 'activation'), [(1, 'relu'), (4, 'linear')])
def test_outputs_change_less_than_by_rounding_to_the_nearest(groups, activation):
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(groups, 4, 12))  # correlated inputs: errors of weights can cancel each other
    inputs = np.einsum('ngf,gfh->ngh', rng.normal(size=(400, groups, 4)), mixing).astype(np.float32)
    weights, bias = rng.normal(size=(groups, 12, 3)).astype(np.float32), np.zeros((groups, 3), np.float32)
    outputs = np.einsum('ngf,gfo->ngo', inputs, weights)
    matrix = weights.transpose(1, 0, 2).reshape(12, -1)
    step = steps(matrix, 3)
    steps_of = step.reshape(groups, 1, 3)
    codes = adaround(weights, steps_of, bias, Reconstruction(inputs, outputs, activation), 3, 400)

    def error(codes: np.ndarray) -> float:
        made = np.einsum('ngf,gfo->ngo', inputs, codes * steps_of)
        if activation == 'relu':
            return float(((np.maximum(made, 0) - np.maximum(outputs, 0)) ** 2).mean())
        return float(((made - outputs) ** 2).mean())

    simple = nearest(matrix, step, 3).reshape(12, groups, 3).transpose(1, 0, 2)
    assert error(codes) < 0.6 * error(simple)
    assert np.abs(codes).max() <= 3 and (codes == np.round(codes)).all()
    assert np.abs(codes - np.clip(weights / steps_of, -3, 3)).max() <= 1  # down or up, not further
