"""What rounding leaves out, and how it is made up for."""

from __future__ import annotations

import tensorflow as tf


def compensated(gradient: tf.Tensor, error: tf.Tensor, coeff: float) -> tf.Tensor:
    """What is quantized: g_t + alpha h_t (Wu et al. 2018, https://arxiv.org/abs/1806.08054, section 3)."""
    return gradient + coeff * error


def next_error(gradient: tf.Tensor, quantized: tf.Tensor, error: tf.Tensor, decay: float) -> tf.Tensor:
    """h_{t+1} = beta h_t + g_t - Q(g_t + alpha h_t) (Wu et al. 2018, section 3).

    With beta = 1 nothing is lost, whatever alpha > 0 is: over all steps the sum of what was sent and the last error is
    the sum of the gradients.
    """
    return decay * error + gradient - quantized
