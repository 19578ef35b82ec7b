"""PowerSGD: matrices of low rank in place of gradients (Vogels et al. 2019, https://arxiv.org/abs/1905.13727)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from pocketflow.utils.distributed.gradient_compression.reducer import GradientReducer
from pocketflow.utils.distributed.multi_gpu_wrapper import Workers

_TINY = 1e-30
"""Lower bound of a squared norm, so that columns of zeros stay zeros."""


def matrix_shape(shape: Sequence[int]) -> tuple[int, int]:
    """The matrix as which a gradient is approximated: a column per output, `[kernel positions x inputs, outputs]`.

    >>> matrix_shape((3, 3, 16, 32))
    (144, 32)
    """
    return math.prod(shape[:-1]), shape[-1] if shape else 1


def is_worthwhile(shape: Sequence[int], rank: int) -> bool:
    """Whether the two factors of a gradient have fewer elements than the gradient, r (n + m) < n m.

    >>> is_worthwhile((3, 3, 16, 32), 4), is_worthwhile((4, 4), 2), is_worthwhile((32,), 1)
    (True, False, False)
    """
    rows, columns = matrix_shape(shape)
    return len(shape) > 1 and rank * (rows + columns) < rows * columns


def orthonormal_columns(matrix: tf.Tensor) -> tf.Tensor:
    """The columns made orthogonal to those before them, with norm 1 (modified Gram-Schmidt); zeros stay zeros.

    Args:
      matrix: float32 `[n, r]`, with a static r.
    """
    columns: list[tf.Tensor] = []
    for column in tf.unstack(matrix, axis=1):
        for before in columns:
            column = column - before * tf.tensordot(before, column, 1)
        columns.append(column * tf.math.rsqrt(tf.maximum(tf.tensordot(column, column, 1), _TINY)))
    return tf.stack(columns, axis=1)


class LowRankReducer(GradientReducer):
    """Averages gradients of kernels as matrices of rank r, by one step of the power method, with error feedback.

    With the gradient G of a worker and its accumulated error E, in each step, for each kernel (algorithms 1 and 2 of
    the paper):

        D = G + E
        P = mean of D Q over the workers, made orthonormal
        Q = mean of D' P over the workers
        applied: P Q'
        E = D - P P' D

    Q is kept for the next step, so that the power method goes on over the steps. Both means are all-reduces of float32,
    whose bytes do not grow with the workers. Gradients that are not smaller as two factors, such as those of biases,
    are averaged as they are.

    The errors telescope: over any number of steps, the sum of what was applied and the mean of the last errors is the
    sum of the mean gradients.

    Args:
      workers: the workers.
      shapes: shapes of the gradients, in order.
      rank: r.
      seed: seed of the first Q, which is equal on all workers.
    """

    def __init__(self, workers: Workers, shapes: Sequence[tf.TensorShape], rank: int, seed: int = 0):
        super().__init__(workers)
        self._shapes = [tuple(shape) for shape in shapes]
        self._large = [is_worthwhile(shape, rank) for shape in self._shapes]
        matrices = [matrix_shape(shape) for shape, large in zip(self._shapes, self._large, strict=True) if large]
        self.errors = [tf.Variable(tf.zeros(shape), trainable=False, name='gradient_error') for shape in matrices]
        self.factors = [
            tf.Variable(tf.random.stateless_normal([columns, rank], [seed, number]), trainable=False, name='factor')
            for number, (_, columns) in enumerate(matrices)
        ]

    @property
    def local_state(self) -> list[tf.Variable]:
        return [*self.errors, *self.factors]

    def adopt(self, states: Sequence[np.ndarray]) -> None:
        """The mean error, so that no gradient is lost, and the factors, which are equal on all workers."""
        for variable, values in zip(self.errors, states, strict=False):
            variable.assign(values.mean(axis=0))
        for variable, values in zip(self.factors, states[len(self.errors) :], strict=True):
            variable.assign(values[0])

    def reduce(self, gradients: Sequence[tf.Tensor], step: tf.Tensor) -> list[tf.Tensor]:
        small = [gradient for gradient, is_large in zip(gradients, self._large, strict=True) if not is_large]
        large = [gradient for gradient, is_large in zip(gradients, self._large, strict=True) if is_large]
        sums = [tf.reshape(gradient, error.shape) + error for gradient, error in zip(large, self.errors, strict=True)]
        products = [tf.matmul(total, factor) for total, factor in zip(sums, self.factors, strict=True)]
        means = self._workers.average([*products, *small])
        bases = [orthonormal_columns(product) for product in means[: len(large)]]
        own = [tf.matmul(total, basis, transpose_a=True) for total, basis in zip(sums, bases, strict=True)]
        factors = self._workers.average(own) if own else []
        for error, total, basis, mine in zip(self.errors, sums, bases, own, strict=True):
            error.assign(total - tf.matmul(basis, mine, transpose_b=True))
        for variable, factor in zip(self.factors, factors, strict=True):
            variable.assign(factor)
        of_small = iter(means[len(large) :])
        of_large = iter(
            tf.matmul(basis, factor, transpose_b=True) for basis, factor in zip(bases, factors, strict=True)
        )
        return [
            tf.reshape(next(of_large), shape) if is_large else next(of_small)
            for shape, is_large in zip(self._shapes, self._large, strict=True)
        ]
