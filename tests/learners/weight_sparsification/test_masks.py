"""Masks by hand: counts, ties, weights that come back."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.learners.weight_sparsification.masks import (
    GradualPruning,
    apply_mask,
    magnitude_mask,
    num_zeros,
    num_zeros_now,
)
from pocketflow.learners.weight_sparsification.schedule import PruningSchedule


def variable(*values: float) -> tf.Variable:
    return tf.Variable(np.array(values, np.float32))


def mask_of(values: list, num_pruned: int) -> list:
    return magnitude_mask(tf.constant(values, tf.float32), num_pruned).numpy().tolist()


def test_number_of_zeros():
    assert [int(num_zeros(ratio, 10)) for ratio in (0, 0.04, 0.06, 0.74, 0.76, 0.99)] == [0, 0, 1, 7, 8, 9]
    assert int(num_zeros(0.999, 1)) == 0
    assert num_zeros(np.array([0.5, 0.2]), np.array([4.0, 5.0])).numpy().tolist() == [2, 1]
    assert num_zeros_now(np.array([0.0, -0.0, 1e-30])) == 2


def test_the_smallest_magnitudes_go():
    assert mask_of([[3.0, -1.0], [-4.0, 2.0]], 2) == [[True, False], [True, False]]
    assert mask_of([1.0, 2.0], 0) == [True, True]


def test_ties_are_broken_by_index():
    assert mask_of([1.0, -1.0, 1.0, -1.0, 5.0, 0.5], 3) == [False, False, True, True, True, False]
    assert mask_of([0.0] * 4, 1) == [False, True, True, True]


def test_exact_count_in_a_quantized_kernel():
    values = np.random.default_rng(0).integers(-3, 4, (3, 3, 8, 16)).astype(np.float32)
    for count in (1, 100, 863, 1151):
        assert int(np.sum(~magnitude_mask(tf.constant(values), count).numpy())) == count


def test_zeros_have_no_sign():
    kernel = variable(-1.0, 2.0)
    apply_mask(kernel, tf.constant([False, True]))
    assert not np.signbit(kernel.numpy()).any() and kernel.numpy().tolist() == [0.0, 2.0]


def pruning(kernel: tf.Variable, ratio: float, schedule: PruningSchedule) -> GradualPruning:
    return GradualPruning([kernel], [ratio], schedule)


def test_a_weight_comes_back_with_its_last_live_value():
    kernel = variable(1.0, 2.0, 3.0, 4.0)
    one = pruning(kernel, 0.5, PruningSchedule(0, 4, 2, 1.0))  # a quarter at step 2, a half at step 4
    constrain = tf.function(one.constrain)

    def after(step: int, *values: float) -> list[float]:
        kernel.assign(values)
        constrain(tf.constant(step, tf.int64))
        return kernel.numpy().tolist()

    assert after(1, 1.5, 2.0, 3.0, 4.0) == [1.5, 2.0, 3.0, 4.0]  # no mask yet
    assert after(2, 1.25, 2.0, 3.0, 4.0) == [0.0, 2.0, 3.0, 4.0]  # 1.25 is the smallest
    assert after(3, 9.0, 2.0, 3.0, 1.0) == [0.0, 2.0, 3.0, 1.0]  # what the optimizer makes of it does not matter
    assert after(4, -9.0, 0.5, 3.0, 1.0) == [1.25, 0.0, 3.0, 0.0]  # 0.5 and 1.0 are smaller: 1.25 is back
    assert after(5, 1.0, 7.0, 3.0, 8.0) == [1.0, 0.0, 3.0, 0.0]  # the masks are final
    assert float(one.sparsity) == 0.5


def test_zeros_that_are_there_stay_from_the_beginning():
    kernel = variable(0.0, 0.0, 3.0, 4.0)
    one = pruning(kernel, 0.75, PruningSchedule(5, 10, 5, 3.0))
    assert float(one.sparsity) == 0.5
    kernel.assign([1.0, 2.0, 3.0, 4.0])
    one.constrain(tf.constant(1, tf.int64))
    assert kernel.numpy().tolist() == [0.0, 0.0, 3.0, 4.0]
    one.constrain(tf.constant(5, tf.int64))
    assert kernel.numpy().tolist() == [0.0, 0.0, 3.0, 4.0]
    one.constrain(tf.constant(10, tf.int64))
    assert kernel.numpy().tolist() == [0.0, 0.0, 0.0, 4.0]


def test_more_zeros_than_planned_may_grow_back():
    kernel = variable(0.0, 0.0, 0.0, 4.0)
    one = pruning(kernel, 0.5, PruningSchedule(0, 10, 5))
    kernel.assign([1.0, 1.0, 1.0, 4.0])
    one.constrain(tf.constant(1, tf.int64))
    assert kernel.numpy().tolist() == [0.0, 0.0, 1.0, 4.0]


def test_state_holds_all_that_a_continuation_needs():
    rng = np.random.default_rng(1)
    gradients = rng.normal(size=(8, 40)).astype(np.float32)
    start, schedule = rng.normal(size=40).astype(np.float32), PruningSchedule(0, 8, 2)

    def train(kernel: tf.Variable, one: GradualPruning, steps: range) -> np.ndarray:
        for step in steps:
            kernel.assign_sub(gradients[step - 1])
            one.constrain(tf.constant(step, tf.int64))
        return kernel.numpy()

    kernel = tf.Variable(start)
    whole = train(kernel, pruning(kernel, 0.8, schedule), range(1, 9))
    kernel = tf.Variable(start)
    first = pruning(kernel, 0.8, schedule)
    train(kernel, first, range(1, 6))
    fresh = tf.Variable(start)
    second = pruning(fresh, 0.8, schedule)
    for old, new in zip([kernel, *first.state], [fresh, *second.state], strict=True):
        new.assign(old)
    np.testing.assert_array_equal(train(fresh, second, range(6, 9)), whole)
    assert num_zeros_now(whole) == 32


def test_several_kernels_have_their_own_ratios():
    kernels = [tf.Variable(tf.random.normal((3, 3, 4))), tf.Variable(tf.random.normal((10, 20)))]
    one = GradualPruning(kernels, [0.25, 0.9], PruningSchedule(0, 1, 1))
    one.constrain(tf.constant(1, tf.int64))
    assert [num_zeros_now(kernel) for kernel in kernels] == [9, 180]
    assert float(one.sparsity) == pytest.approx(189 / 236)
    assert len(one.state) == 5
