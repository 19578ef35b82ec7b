"""Multiply-adds of functions that TensorFlow traces."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.utils.costs.operations import Macs, function_macs


def spec(*shape) -> tf.TensorSpec:
    return tf.TensorSpec(shape)


def kernel(*shape) -> tf.Tensor:
    return tf.zeros(shape)


@pytest.mark.parametrize(
    ('function', 'shapes', 'macs'),
    [
        (tf.matmul, [(2, 3), (3, 4)], 24),
        (lambda a, b: tf.matmul(a, b, transpose_a=True), [(3, 2), (3, 4)], 24),
        (lambda a, b: tf.matmul(a, b, transpose_b=True), [(5, 2, 3), (5, 4, 3)], 5 * 24),
        (lambda a, b: tf.matmul(a, b, transpose_a=True), [(5, 3, 2), (5, 3, 4)], 5 * 24),
        (tf.linalg.matvec, [(2, 3), (3,)], 6),
        (lambda a, b: tf.tensordot(a, b, 1), [(1, 2, 3), (3, 4)], 24),
        (lambda a, b: tf.einsum('abc,cd->abd', a, b), [(1, 2, 3), (3, 4)], 24),
        (lambda x: tf.nn.conv2d(x, kernel(3, 3, 2, 5), 2, 'SAME'), [(1, 8, 8, 2)], 9 * 2 * 5 * 16),
        (lambda x: tf.nn.conv1d(x, kernel(3, 2, 5), 1, 'VALID'), [(1, 8, 2)], 3 * 2 * 5 * 6),
        (lambda x: tf.nn.conv3d(x, kernel(2, 2, 2, 2, 5), [1] * 5, 'VALID'), [(1, 4, 4, 4, 2)], 8 * 2 * 5 * 27),
        (lambda x: tf.nn.depthwise_conv2d(x, kernel(3, 3, 2, 4), [1] * 4, 'SAME'), [(1, 8, 8, 2)], 9 * 2 * 4 * 64),
        (
            lambda x: tf.nn.separable_conv2d(x, kernel(3, 3, 2, 1), kernel(1, 1, 2, 5), [1] * 4, 'SAME'),
            [(1, 8, 8, 2)],
            (18 + 10) * 64,
        ),
        (lambda x: tf.nn.conv2d_transpose(x, kernel(2, 2, 5, 3), (1, 8, 8, 5), 2), [(1, 4, 4, 3)], 4 * 5 * 3 * 16),
        (lambda x: tf.nn.softmax(x * x + 1.0), [(7, 3)], 0),
    ],
)
def test_operations_by_hand(function, shapes, macs):
    assert function_macs(function, tuple(spec(*shape) for shape in shapes), {}) == Macs(macs)


def test_functions_within_functions_count():
    product = tf.function(lambda a, b: tf.matmul(a, b))
    assert function_macs(lambda a, b: product(a, b=product(a, b)), (spec(3, 3), spec(3, 3)), {}) == Macs(54)


def test_other_arguments_stay_what_they_are():
    assert function_macs(tf.matmul, (spec(3, 2), spec(3, 4)), {'transpose_a': True}) == Macs(24)


@pytest.mark.parametrize(
    ('function', 'words'),
    [
        (lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: tf.matmul(x, x), lambda: x), 'If'),
        (lambda x: tf.while_loop(lambda y: tf.reduce_sum(y) < 9, lambda y: (tf.matmul(y, y),), [x])[0], 'While'),
        (lambda x: tf.numpy_function(np.linalg.inv, [x], tf.float32), 'PyFunc'),
        (tf.linalg.inv, 'MatrixInverse'),
        (lambda x: 1 / x.no_such_thing, 'a function that cannot be traced'),
        (lambda x: tf.matmul(tf.boolean_mask(x, x[0] > 0), x, transpose_a=True), None),
        (lambda x: tf.matmul(tf.boolean_mask(x, x[0] > 0), x), 'MatMul of unknown size'),
    ],
)
def test_what_is_not_counted_is_named(function, words):
    macs = function_macs(function, (spec(3, 3),), {})
    assert macs.count == 0 and len(macs.uncounted) == 1 and (words or 'unknown size') in macs.uncounted[0]


def test_a_loop_or_a_choice_without_products_costs_nothing():
    assert function_macs(lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: x + 1, lambda: x), (spec(3),), {}) == Macs()


def test_sums():
    assert Macs(1, ('a',)) + Macs(2, ('b', 'a')) == Macs(3, ('a', 'b'))
    assert Macs(2, ('a',)).times(3) == Macs(6, ('a',))
