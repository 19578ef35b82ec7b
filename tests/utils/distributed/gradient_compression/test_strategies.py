"""Error feedback, exchanges and strategies, with workers that are simulated in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.utils.distributed.gradient_compression import CompressionOptions, make_reducer
from pocketflow.utils.distributed.gradient_compression.strategies import pending_mean
from pocketflow.utils.distributed.multi_gpu_wrapper import ALONE, Workers

SHAPES = [(3, 3, 2, 4), (4,), (5, 7)]


class Meeting:
    """Where the threads of one job leave their tensors for each other."""

    def __init__(self, size: int):
        self.size, self.left = size, [None] * size
        self.barrier = threading.Barrier(size, timeout=60)

    def swap(self, rank: int, value: Any) -> list[Any]:
        self.left[rank] = value
        self.barrier.wait()
        everything = list(self.left)
        self.barrier.wait()
        return everything


class ThreadWorkers(Workers):
    """One of several workers that are threads of this process."""

    def __init__(self, meeting: Meeting, rank: int):
        self.meeting, self.rank, self.size = meeting, rank, meeting.size
        self.local_rank, self.local_size = rank, meeting.size
        self.num_bytes = 0

    def average(self, tensors, half=False):
        return [tf.add_n(list(parts)) / self.size for parts in zip(*self.meeting.swap(self.rank, tensors), strict=True)]

    def gather(self, tensor):
        parts = self.meeting.swap(self.rank, tensor)
        self.num_bytes += sum(len(part) for index, part in enumerate(parts) if index != self.rank)
        return tf.concat(parts, 0)

    def exchange(self, tensor):
        parts = [tf.split(part, self.size)[self.rank] for part in self.meeting.swap(self.rank, tensor)]
        self.num_bytes += sum(len(part) for index, part in enumerate(parts) if index != self.rank)
        return tf.concat(parts, 0)

    def broadcast(self, variables):
        raise NotImplementedError

    def share(self, make):
        raise NotImplementedError


def together(size: int, work: Callable[[Workers], Any]) -> list[Any]:
    """What `work` returns for each of `size` workers."""
    meeting, results = Meeting(size), [None] * size

    def run(rank: int) -> None:
        results[rank] = work(ThreadWorkers(meeting, rank))

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(result is not None for result in results)
    return results


def gradients(rank: int, step: int) -> list[tf.Tensor]:
    rng = np.random.default_rng([rank, step])
    return [tf.constant(rng.normal(size=shape), tf.float32) for shape in SHAPES]


def variables() -> list[tf.Variable]:
    return [tf.Variable(tf.zeros(shape)) for shape in SHAPES]


def sums(workers: Workers, options: CompressionOptions, num_steps: int) -> tuple[list, list, list]:
    """Sums over the steps of what was applied, this worker's last errors, and the bytes that it received."""
    reducer = make_reducer(options, workers, variables(), seed=5)
    applied = [np.zeros(shape) for shape in SHAPES]
    for step in range(num_steps):
        reduced = reducer.reduce(gradients(workers.rank, step), tf.constant(step, tf.int64))
        applied = [total + value.numpy() for total, value in zip(applied, reduced, strict=True)]
    return applied, [variable.numpy() for variable in reducer.local_state], [getattr(workers, 'num_bytes', 0)]


@pytest.mark.parametrize('exchange', ['gather', 'chunked'])
@pytest.mark.parametrize('size', [1, 3])
def test_what_was_sent_and_the_errors_are_all_that_there_was(exchange, size):
    """Telescoping: sum of the applied means + mean of the errors (+ errors of chunks) = sum of the mean gradients."""
    num_steps = 6
    results = together(
        size,
        lambda workers: sums(workers, CompressionOptions(kind='ecq', bucket_size=16, exchange=exchange), num_steps),
    )
    wanted = [
        sum(np.mean([gradients(rank, step)[index] for rank in range(size)], axis=0) for step in range(num_steps))
        for index in range(len(SHAPES))
    ]
    error = np.mean([states[0] for _, states, _ in results], axis=0)
    if exchange == 'chunked':
        error = error + np.concatenate([states[1] for _, states, _ in results])[: len(error)]
    errors = np.split(error, [72])
    for applied, _, _ in results:
        for index, extra in ((0, errors[0].reshape(SHAPES[0])), (1, 0), (2, errors[1].reshape(SHAPES[2]))):
            np.testing.assert_allclose(applied[index] + extra, wanted[index], atol=1e-4)
    assert np.abs(error).max() > 0.01


@pytest.mark.parametrize('exchange', ['gather', 'chunked'])
def test_all_workers_apply_the_same(exchange):
    options = CompressionOptions(kind='ecq', bucket_size=16, exchange=exchange)
    results = together(3, lambda workers: sums(workers, options, 3)[0])
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize('bits', ['ternary', '2', '4', '8'])
@pytest.mark.parametrize('exchange', ['gather', 'chunked'])
def test_bytes_are_those_that_the_formula_says(bits, exchange):
    options = CompressionOptions(kind='ecq', bits=bits, bucket_size=8, exchange=exchange)
    (_, _, received), *_ = together(3, lambda workers: sums(workers, options, 1))
    length = 107 if exchange == 'gather' else 36
    per_byte = {'ternary': 5, '2': 4, '4': 2, '8': 1}[bits]
    vector = -(-length // per_byte) + 4 * -(-length // 8)
    assert received == [vector * 2 if exchange == 'gather' else vector * 2 + vector * 2]


def test_without_compression_the_mean_is_plain():
    results = together(2, lambda workers: sums(workers, CompressionOptions(), 1)[0])
    for index in range(len(SHAPES)):
        np.testing.assert_allclose(results[0][index], (gradients(0, 0)[index] + gradients(1, 0)[index]) / 2, rtol=1e-6)


def test_more_bits_are_nearer():
    errors = {
        bits: np.abs(sums(ALONE, CompressionOptions(kind='ecq', bits=bits, error_coeff=0), 1)[1][0]).mean()
        for bits in ('ternary', '4', '8')
    }
    assert errors['8'] < errors['4'] / 8 < errors['ternary'] / 16


def test_half_of_the_error_is_less_noise_than_all_of_it():
    """What is applied in ten steps, about as many as momentum averages over, is nearer to the sum of the gradients."""

    def noise(coeff: float) -> float:
        options = CompressionOptions(kind='ecq', error_coeff=coeff)
        reducer = make_reducer(options, ALONE, [tf.Variable(tf.zeros((512, 8)))])
        errors = [reducer.error.numpy()]
        for step in range(60):
            reducer.reduce([tf.random.stateless_normal((512, 8), [step, 1])], tf.constant(step))
            errors.append(reducer.error.numpy())
        return float(np.std(errors[60] - errors[50]))

    assert noise(CompressionOptions().error_coeff) < 0.8 * noise(0.0) < 0.8 * noise(1.0)


def test_no_compensation_if_the_coefficient_is_zero():
    one, many = (
        sums(ALONE, CompressionOptions(kind='ecq', error_coeff=0, error_decay=decay), 4)[0] for decay in (0.0, 1.0)
    )
    np.testing.assert_array_equal(one[0], many[0])


def test_what_is_pending_is_kept_for_another_number_of_workers():
    errors = np.array([[1.0, 2, 3], [3, 6, 9]])
    np.testing.assert_array_equal(pending_mean(errors, np.zeros((2, 0))), [2, 4, 6])
    np.testing.assert_array_equal(pending_mean(errors, np.array([[10.0, 20], [30, 99]])), [12, 24, 36])


@pytest.mark.parametrize('exchange', ['gather', 'chunked'])
def test_other_workers_start_with_what_is_pending(exchange):
    reducer = make_reducer(CompressionOptions(kind='ecq', exchange=exchange), ALONE, [tf.Variable(tf.zeros((1, 3)))])
    reducer.exchange.error.assign(tf.ones_like(reducer.exchange.error))
    reducer.adopt([np.array([[1.0, 2, 3], [3, 6, 9]]), np.array([[10.0, 20], [30, 99]])])
    error, chunk_error = (variable.numpy().tolist() for variable in reducer.local_state)
    assert error == [12, 24, 36] and chunk_error == ([0, 0, 0] if exchange == 'chunked' else [])


def test_large_seeds_fit():
    options = CompressionOptions(kind='ecq', exchange='chunked')
    reducer = make_reducer(options, ALONE, variables(), seed=2**30)
    assert len(reducer.reduce(gradients(0, 0), tf.constant(2**31, tf.int64))) == len(SHAPES)


def test_vectors_alone_are_not_worth_compressing():
    reducer = make_reducer(CompressionOptions(kind='ecq'), ALONE, [tf.Variable([1.0, 2.0])])
    assert reducer.local_state == []
    np.testing.assert_array_equal(reducer.reduce([tf.constant([0.25, 3.0])], tf.constant(0))[0], [0.25, 3.0])
