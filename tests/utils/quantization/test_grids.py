from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.utils.quantization import grids


def column(*values: float) -> tf.Tensor:
    return tf.constant(values, tf.float32)[:, tf.newaxis]


@pytest.mark.parametrize('bits', [1, 2, 8, 16, 31, 32])
def test_number_of_steps(bits):
    assert float(grids.num_steps(tf.constant(bits))) == np.float32(2**bits - 1)


def test_min_max_grid():
    scales, offsets = grids.min_max_grid(tf.constant([[-1.0, 5.0], [2.0, 5.0], [0.5, 5.0]]), 2)
    np.testing.assert_array_equal(scales, [1.0, 1.0])  # (2 - -1) / 3; one value alone needs no scale
    np.testing.assert_array_equal(offsets, [-1.0, 5.0])


def test_symmetric_grid():
    scales = grids.symmetric_grid(tf.constant([[-3.5, 0.0], [1.0, 0.0]]), 4)
    np.testing.assert_array_equal(scales, [0.5, 1.0])  # 3.5 / 7
    assert float(grids.symmetric_top(8)) == 127


@pytest.mark.parametrize(
    'low, high, bits, expected',
    [
        (0.0, 1.5, 2, (0.5, 0, 3)),
        (0.5, 1.5, 2, (0.5, 0, 3)),  # widened down to zero
        (-1.0, 2.0, 2, (1.0, -1, 2)),
        (-0.9, 2.1, 2, (1.0, -1, 2)),  # moved so that zero is on it
        (-3.0, -1.0, 2, (1.0, -3, 0)),
        (0.0, 0.0, 8, (1.0, 0, 255)),
    ],
)
def test_range_grid(low, high, bits, expected):
    np.testing.assert_allclose(grids.range_grid(tf.constant(low), tf.constant(high), bits), expected, rtol=1e-6)


def test_straight_through():
    values = column(0.2, -0.7)
    with tf.GradientTape() as tape:
        tape.watch(values)
        quantized = grids.straight_through(values, tf.round(values))
        loss = tf.reduce_sum(quantized * column(3.0, 5.0))
    np.testing.assert_array_equal(quantized, column(0.0, -1.0))
    np.testing.assert_array_equal(tape.gradient(loss, values), column(3.0, 5.0))


def test_rounding_to_a_range_has_no_gradient_outside():
    values = tf.constant([-2.0, -0.6, 0.2, 1.2, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(values)
        rounded = grids.round_to_range(values, tf.constant(0.5), tf.constant(-2.0), tf.constant(2.0))
        loss = tf.reduce_sum(rounded * tf.constant([1.0, 2.0, 3.0, 4.0, 5.0]))
    np.testing.assert_array_equal(rounded, [-1.0, -0.5, 0.0, 1.0, 1.0])
    np.testing.assert_array_equal(tape.gradient(loss, values), [0.0, 2.0, 3.0, 4.0, 0.0])
