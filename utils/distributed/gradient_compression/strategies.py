"""Reduction of the workers' gradients to their mean, with optional compression."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from pocketflow.utils.distributed.gradient_compression.exchanges import ChunkedExchange, Exchange, choose_exchange
from pocketflow.utils.distributed.gradient_compression.feedback import compensated, next_error
from pocketflow.utils.distributed.gradient_compression.low_rank import LowRankReducer, is_worthwhile
from pocketflow.utils.distributed.gradient_compression.options import CompressionOptions
from pocketflow.utils.distributed.gradient_compression.reducer import GradientReducer
from pocketflow.utils.distributed.multi_gpu_wrapper import Workers


class ErrorCompensatedReducer(GradientReducer):
    """Error-compensated quantization (ECQ-SGD) of the gradients of kernels.

    The gradients of all kernels are concatenated to one vector for one exchange; those of biases and normalisation
    parameters, which are few, are averaged as float32.

    Args:
      workers: the workers.
      shapes: shapes of the gradients, in order.
      options: grid, buckets, error feedback, exchange.
      seed: seed of the stochastic rounding, combined with rank and step.
    """

    def __init__(self, workers: Workers, shapes: Sequence[tf.TensorShape], options: CompressionOptions, seed: int = 0):
        super().__init__(workers)
        self._options, self._seed = options, seed
        self._shapes = [tuple(shape) for shape in shapes]
        self._large = [len(shape) > 1 for shape in self._shapes]
        length = sum(math.prod(shape) for shape, large in zip(self._shapes, self._large, strict=True) if large)
        chosen = choose_exchange(options.exchange, workers.size)
        self.exchange = {'gather': Exchange, 'chunked': ChunkedExchange}[chosen](workers, length, options)
        self.error = tf.Variable(tf.zeros([length]), trainable=False, name='gradient_error')

    @property
    def local_state(self) -> list[tf.Variable]:
        return [self.error, self.exchange.error]

    def adopt(self, states: Sequence[np.ndarray]) -> None:
        self.error.assign(pending_mean(*states))
        self.exchange.error.assign(tf.zeros_like(self.exchange.error))

    def reduce(self, gradients: Sequence[tf.Tensor], step: tf.Tensor) -> list[tf.Tensor]:
        large = [gradient for gradient, is_large in zip(gradients, self._large, strict=True) if is_large]
        small = [gradient for gradient, is_large in zip(gradients, self._large, strict=True) if not is_large]
        vector = tf.concat([tf.reshape(gradient, [-1]) for gradient in large], 0)
        mean, own = self.exchange.mean(compensated(vector, self.error, self._options.error_coeff), self._rounding(step))
        self.error.assign(next_error(vector, own, self.error, self._options.error_decay))
        sizes = [math.prod(shape) for shape, is_large in zip(self._shapes, self._large, strict=True) if is_large]
        of_large, of_small = iter(tf.split(mean, sizes)), iter(self._workers.average(small) if small else ())
        return [
            tf.reshape(next(of_large), shape) if is_large else next(of_small)
            for shape, is_large in zip(self._shapes, self._large, strict=True)
        ]

    def _rounding(self, step: tf.Tensor) -> tf.Tensor:
        """Rounding seed, int64 `[2]`, different for each worker, with distances for the seeds of the chunks."""
        size, rank = self._workers.size, self._workers.rank
        return tf.stack([tf.constant((self._seed * size + rank) * (size + 2), tf.int64), tf.cast(step, tf.int64)])


def make_reducer(
    options: CompressionOptions, workers: Workers, variables: Sequence[tf.Variable], seed: int = 0
) -> GradientReducer:
    """Creates the reducer for `--grad_compression` and the gradients of these variables."""
    if options.kind == 'ecq' and any(len(variable.shape) > 1 for variable in variables):
        return ErrorCompensatedReducer(workers, [variable.shape for variable in variables], options, seed)
    if options.kind == 'powersgd' and any(is_worthwhile(variable.shape, options.rank) for variable in variables):
        return LowRankReducer(workers, [variable.shape for variable in variables], options.rank, seed)
    return GradientReducer(workers, half=options.kind == 'fp16')


def pending_mean(errors: np.ndarray, chunk_errors: np.ndarray) -> np.ndarray:
    """Accumulated error of the mean of the gradients, `[length]`.

    If each of any number of workers starts with it as its error, no gradient is lost.

    Args:
      errors: `[workers, length]`, errors of the workers.
      chunk_errors: `[workers, chunk]`, errors of the chunks, in order; the last may be padded, all may be empty.
    """
    length = errors.shape[1]
    of_chunks = chunk_errors.reshape(-1)[:length]
    pending: np.ndarray = errors.mean(axis=0) + np.pad(of_chunks, (0, length - len(of_chunks)))
    return pending
