"""Pruning schedule: steps of mask updates, and sparsity (Zhu and Gupta 2017, https://arxiv.org/abs/1710.01878)."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from pocketflow.learners.weight_sparsification.options import MIN_UPDATES


@dataclasses.dataclass(frozen=True)
class PruningSchedule:
    """The steps of a training at which masks are updated.

    Masks are updated at the multiples of `interval` in [first, last), and at `last` for the final ratio.

    Attributes:
      first, last: step at which pruning begins, and step (at least 1) at which the final ratio is reached.
      interval: steps between updates.
      exponent: 3 as published; with larger ones, more is pruned early.
    """

    first: int
    last: int
    interval: int
    exponent: float = 3.0

    @classmethod
    def over(cls, num_steps: int, begin: float, end: float, interval: int, exponent: float) -> PruningSchedule:
        """The schedule of a training.

        Args:
          num_steps: its number of steps.
          begin, end: as shares of the training, begin <= end.
          interval: steps between updates; reduced if there would be fewer than `MIN_UPDATES` between begin and end.
          exponent: see the class.
        """
        first, last = int(num_steps * begin), max(1, int(num_steps * end))
        return cls(first, last, max(1, min(interval, (last - first) // MIN_UPDATES)), exponent)

    def is_update(self, step: tf.Tensor) -> tf.Tensor:
        """Whether masks are updated after `step` steps: scalar int64 -> scalar bool."""
        on_the_way = (step % self.interval == 0) & (step >= self.first) & (step < self.last)
        return on_the_way | (step == self.last)

    def ratios(self, step: tf.Tensor, initial: tf.Tensor, final: tf.Tensor) -> tf.Tensor:
        """Shares of zeros after `step` steps: s = s_f + (s_i - s_f) (1 - (t - t_0) / (t_n - t_0))^3 (equation 1).

        It is `initial` before `first`, and exactly `final` from `last` on, also if both are the same step.

        Args:
          step: t, a scalar integer.
          initial, final: s_i and s_f, float64 of equal shape.
        """
        way = max(1, self.last - self.first)
        left = tf.clip_by_value(1.0 - tf.cast(step - self.first, tf.float64) / way, 0.0, 1.0)
        left = tf.where(step >= self.last, tf.zeros_like(left), left)
        return final + (initial - final) * left**self.exponent
