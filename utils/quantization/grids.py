"""Evenly spaced grids, and rounding to them with its gradients.

A weight matrix has a bucket per column, [elements per bucket, buckets], and a grid per bucket.
"""

from __future__ import annotations

import tensorflow as tf


def num_steps(bits: tf.Tensor | int) -> tf.Tensor:
    """2^bits - 1, the number of steps between the ends of a grid, as a float32 scalar; for 1 to 32 bits."""
    wide = tf.cast(bits, tf.int64)
    return tf.cast(tf.bitwise.left_shift(tf.ones_like(wide), wide) - 1, tf.float32)


def _step(span: tf.Tensor, nb: tf.Tensor) -> tf.Tensor:
    """`span / nb`, or 1 where the span is 0: all values are then equal and have the code 0."""
    step = span / nb
    return tf.where(step > 0, step, tf.ones_like(step))


def min_max_grid(matrix: tf.Tensor, bits: tf.Tensor | int) -> tuple[tf.Tensor, tf.Tensor]:
    """The grid of 2^bits points from the least to the greatest value of each bucket.

    Returns:
      (scale, offset), float32 [buckets]: the value of `code` is `code * scale + offset`.
    """
    low = tf.reduce_min(matrix, axis=0)
    return _step(tf.reduce_max(matrix, axis=0) - low, num_steps(bits)), low


def symmetric_top(bits: tf.Tensor | int) -> tf.Tensor:
    """2^(bits - 1) - 1, the greatest code of a symmetric grid, as a float32 scalar."""
    return num_steps(tf.cast(bits, tf.int64) - 1)


def symmetric_grid(matrix: tf.Tensor, bits: tf.Tensor | int) -> tf.Tensor:
    """The scale of the symmetric grid whose ends are at the greatest magnitude of each bucket.

    The codes are -(2^(bits-1)-1) .. 2^(bits-1)-1, as for int8 and int4 weights in TFLite; at least 2 bits.

    Returns:
      float32 [buckets]: the value of `code` is `code * scale`.
    """
    return _step(tf.reduce_max(tf.abs(matrix), axis=0), symmetric_top(bits))


def range_grid(low: tf.Tensor, high: tf.Tensor, bits: tf.Tensor | int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The grid of 2^bits points over a range that is extended to include zero, shifted so that zero is a grid point.

    Jacob et al. 2018, https://arxiv.org/abs/1712.05877, section 2.1.

    Returns:
      (scale, least code, greatest code), float32 scalars: the points are `code * scale`.
    """
    low, high, nb = tf.minimum(low, 0.0), tf.maximum(high, 0.0), num_steps(bits)
    scale = _step(high - low, nb)
    least = tf.round(low / scale)
    return scale, least, least + nb


@tf.custom_gradient
def straight_through(values: tf.Tensor, quantized: tf.Tensor) -> tf.Tensor:
    """`quantized`, with the straight-through gradient to `values`.

    Bengio et al. 2013, https://arxiv.org/abs/1308.3432.
    """
    return tf.identity(quantized), lambda upstream: (upstream, None)


@tf.custom_gradient
def round_to_range(values: tf.Tensor, scale: tf.Tensor, least: tf.Tensor, greatest: tf.Tensor) -> tf.Tensor:
    """Rounds to the nearest of `least * scale .. greatest * scale`; the gradient is 1 within this range, 0 outside."""
    # Unlike / and *, these two operations (equivalent for a scale > 0) are computed in float32 even if convolutions are
    # in bfloat16: it is required for codes of more than 8 bits, and faster.
    codes = tf.round(tf.math.divide_no_nan(values, scale))
    clipped = tf.clip_by_value(codes, least, greatest)

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None, None, None]:
        return tf.where(tf.equal(codes, clipped), upstream, tf.zeros_like(upstream)), None, None, None

    return tf.math.multiply_no_nan(clipped, scale), gradient
