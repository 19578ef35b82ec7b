"""Error feedback: accumulation and compensation of rounding errors."""

from __future__ import annotations

import tensorflow as tf


def compensated(gradient: tf.Tensor, error: tf.Tensor, coeff: float) -> tf.Tensor:
    """Gradient with compensation: g_t + alpha h_t (Wu et al. 2018, https://arxiv.org/abs/1806.08054, section 3)."""
    return gradient + coeff * error


def next_error(gradient: tf.Tensor, quantized: tf.Tensor, error: tf.Tensor, decay: float) -> tf.Tensor:
    """Accumulated error: h_{t+1} = beta h_t + g_t - Q(g_t + alpha h_t) (Wu et al. 2018, section 3).

    With beta = 1 and any alpha > 0, the sum of all sent vectors and the last error equals the sum of the gradients.
    """
    return decay * error + gradient - quantized
