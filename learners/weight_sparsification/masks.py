"""Masks of kernels for gradual pruning; the values of pruned weights are kept as a backup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pocketflow.learners.weight_sparsification.schedule import PruningSchedule


def num_zeros(ratios: Any, sizes: Any) -> tf.Tensor:
    """Numbers of zeros among `sizes` weights for shares of `ratios`: rounded, but at least one weight is not zero.

    Args:
      ratios: shares in [0, 1], float64.
      sizes: numbers of weights >= 1, of equal shape.

    Returns:
      int32.
    """
    sizes = tf.cast(sizes, tf.float64)
    return tf.cast(tf.minimum(tf.round(tf.cast(ratios, tf.float64) * sizes), sizes - 1.0), tf.int32)


def num_zeros_now(kernel: tf.Variable | tf.Tensor | np.ndarray) -> int:
    """Number of weights that are zero, including negative zeros."""
    return int(np.size(kernel) - np.count_nonzero(kernel))


def magnitude_mask(values: tf.Tensor, num_pruned: tf.Tensor | int) -> tf.Tensor:
    """Mask that prunes exactly `num_pruned` weights of smallest magnitude; of equal ones the first.

    Args:
      values: a kernel of any shape.
      num_pruned: scalar integer.

    Returns:
      bool, of the kernel's shape.
    """
    magnitudes = tf.reshape(tf.abs(values), [-1])
    pruned = tf.argsort(magnitudes, stable=True)[:num_pruned, tf.newaxis]
    mask = tf.tensor_scatter_nd_update(tf.ones_like(magnitudes, tf.bool), pruned, tf.zeros_like(pruned[:, 0], tf.bool))
    return tf.reshape(mask, tf.shape(values))


def apply_mask(kernel: tf.Variable, mask: tf.Tensor | tf.Variable) -> None:
    """W <- W * M, with positive zeros."""
    kernel.assign(tf.where(mask, kernel, 0.0))


class GradualPruning:
    """Gradual magnitude pruning of kernels during training.

    Zeros that the kernels already have are masked from the first step on; they are the schedule's initial share.

    Args:
      kernels: float32 variables.
      ratios: the final share of zeros of each.
      schedule: steps at which masks are updated, and shares of zeros at these steps.

    Attributes:
      state: variables that a checkpoint must contain besides the kernels: masks (bool), backups, and `sparsity`.
      sparsity: current share of masked weights, a scalar variable.
    """

    def __init__(self, kernels: Sequence[tf.Variable], ratios: Sequence[float], schedule: PruningSchedule):
        self._kernels, self._schedule = list(kernels), schedule
        self._sizes = np.array([np.prod(kernel.shape) for kernel in kernels], np.float64)
        self._final = np.array(ratios, np.float64)
        zeros = np.array([num_zeros_now(kernel) for kernel in kernels], np.float64)
        self._initial = np.minimum(zeros / self._sizes, self._final)
        self._backups = [tf.Variable(kernel, trainable=False) for kernel in kernels]
        self._masks = [tf.Variable(tf.ones(kernel.shape, tf.bool), trainable=False) for kernel in kernels]
        self.sparsity = tf.Variable(0.0, trainable=False)
        self._renew_masks(tf.constant(self._initial))

    @property
    def state(self) -> list[tf.Variable]:
        return [*self._masks, *self._backups, self.sparsity]

    def constrain(self, step: tf.Tensor) -> None:
        """Updates masks if they are due after `step` optimizer steps (int64), and applies them: W <- W * M."""

        def renew() -> None:
            self._renew_masks(self._schedule.ratios(step, self._initial, self._final))

        def keep() -> None:
            pass

        tf.cond(self._schedule.is_update(step), renew, keep)
        for kernel, mask in zip(self._kernels, self._masks, strict=True):
            apply_mask(kernel, mask)

    def _renew_masks(self, ratios: tf.Tensor) -> None:
        """U <- where(M, W, U), M <- largest |U|, W <- U: restored weights have their last unmasked value (backup U)."""
        counts = num_zeros(ratios, self._sizes)
        for index, (kernel, mask, backup) in enumerate(zip(self._kernels, self._masks, self._backups, strict=True)):
            backup.assign(tf.where(mask, kernel, backup))
            mask.assign(magnitude_mask(backup, counts[index]))
            kernel.assign(backup)
        self.sparsity.assign(tf.cast(tf.reduce_sum(counts) / int(self._sizes.sum()), tf.float32))
