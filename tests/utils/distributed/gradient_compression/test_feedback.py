"""Error feedback, by hand."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pocketflow.utils.distributed.gradient_compression.feedback import compensated, next_error


def test_compensation_by_hand():
    gradient, error = tf.constant([1.0, -2.0]), tf.constant([0.5, 1.0])
    np.testing.assert_allclose(compensated(gradient, error, 0.5), [1.25, -1.5])
    np.testing.assert_allclose(next_error(gradient, tf.constant([2.0, -2.0]), error, 0.5), [-0.75, 0.5])


def test_with_full_feedback_the_error_is_the_residual():
    gradient, error = tf.constant([1.0, -2.0]), tf.constant([0.5, 1.0])
    quantized = tf.constant([2.0, -2.0])
    np.testing.assert_allclose(
        next_error(gradient, quantized, error, 1.0), compensated(gradient, error, 1.0) - quantized
    )
