"""Gradients as matrices of low rank, with workers that are threads of this process."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pocketflow.utils.distributed.gradient_compression import CompressionOptions, make_reducer
from pocketflow.utils.distributed.gradient_compression.low_rank import LowRankReducer, orthonormal_columns
from pocketflow.utils.distributed.multi_gpu_wrapper import ALONE
from tests.utils.distributed.gradient_compression.test_strategies import SHAPES, gradients, sums, together

OPTIONS = CompressionOptions(kind='powersgd', rank=2)
ERRORS, FACTORS = slice(0, 2), slice(2, 4)
"""In the local state of a reducer for `SHAPES`, whose two kernels are compressed."""


def test_columns_by_hand():
    matrix = tf.constant([[3.0, 1, 0], [4, 1, 0]])
    np.testing.assert_allclose(orthonormal_columns(matrix), [[0.6, 0.8, 0], [0.8, -0.6, 0]], atol=1e-6)


def test_a_gradient_of_this_rank_is_sent_exactly():
    rng = np.random.default_rng(0)
    kernel = (rng.normal(size=(18, 2)) @ rng.normal(size=(2, 20))).astype(np.float32).reshape(3, 3, 2, 20)
    reducer = make_reducer(OPTIONS, ALONE, [tf.Variable(tf.zeros(kernel.shape))])
    assert isinstance(reducer, LowRankReducer)
    (sent,) = reducer.reduce([tf.constant(kernel)], tf.constant(0))
    np.testing.assert_allclose(sent, kernel, atol=1e-4)
    np.testing.assert_allclose(reducer.errors[0], np.zeros((18, 20)), atol=1e-4)


def test_the_steps_find_the_largest_direction():
    """Singular values 3 and 1: after some steps with the same gradient, rank 1 is the first singular pair."""
    left, right = np.linalg.qr(np.random.default_rng(0).normal(size=(2, 8, 8)))[0][:, :, :2]
    matrix = (left * [3, 1]) @ right.T
    reducer = LowRankReducer(ALONE, [tf.TensorShape([8, 8])], rank=1)
    for step in range(12):
        reducer.errors[0].assign(tf.zeros([8, 8]))
        (sent,) = reducer.reduce([tf.constant(matrix, tf.float32)], tf.constant(step))
    np.testing.assert_allclose(sent, 3 * np.outer(left[:, 0], right[:, 0]), atol=1e-3)


def test_what_was_applied_and_the_errors_are_all_that_there_was():
    num_steps, size = 6, 3
    results = together(size, lambda workers: sums(workers, OPTIONS, num_steps))
    wanted = [
        sum(np.mean([gradients(rank, step)[index] for rank in range(size)], axis=0) for step in range(num_steps))
        for index in range(len(SHAPES))
    ]
    errors = [np.mean([states[number] for _, states, _ in results], axis=0) for number in range(2)]
    for applied, _, _ in results:
        for index, extra in ((0, errors[0].reshape(SHAPES[0])), (1, 0), (2, errors[1].reshape(SHAPES[2]))):
            np.testing.assert_allclose(applied[index] + extra, wanted[index], atol=1e-4)
    assert np.abs(errors[0]).max() > 0.01


def test_all_workers_apply_the_same_and_keep_the_same_factors():
    results = together(3, lambda workers: sums(workers, OPTIONS, 3))
    for applied, states, _ in results[1:]:
        for one, other in zip(results[0][0] + results[0][1][FACTORS], applied + states[FACTORS], strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_gradient_of_zeros_leaves_the_state_finite():
    reducer = make_reducer(OPTIONS, ALONE, [tf.Variable(tf.zeros(shape)) for shape in SHAPES])
    zeros = [tf.zeros(shape) for shape in SHAPES]
    for step in range(2):
        sent = reducer.reduce(zeros, tf.constant(step))
    assert all(np.isfinite(values).all() for values in [*sent, *(state.numpy() for state in reducer.local_state)])


def test_other_workers_start_with_the_mean_error():
    reducer = LowRankReducer(ALONE, [tf.TensorShape([3, 4])], rank=1)
    reducer.adopt([np.array([np.full((3, 4), 1.0), np.full((3, 4), 5.0)]), np.full((2, 4, 1), 7.0)])
    assert reducer.errors[0].numpy().tolist() == [[3.0] * 4] * 3
    assert reducer.factors[0].numpy().tolist() == [[7.0]] * 4


def test_nothing_is_compressed_where_factors_are_larger():
    reducer = make_reducer(CompressionOptions(kind='powersgd', rank=4), ALONE, [tf.Variable(tf.zeros((3, 4)))])
    assert reducer.local_state == []
