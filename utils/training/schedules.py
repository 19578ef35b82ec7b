"""Learning-rate schedules of the networks: step -> learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import UsageError

Schedule: TypeAlias = keras.optimizers.schedules.LearningRateSchedule
WARMUP_SHARE = 0.25
WARMUP_EPOCHS = 5
"""Epochs of the learning-rate warm-up with several workers (Goyal et al. 2017, section 2.2)."""


def scaled_learning_rate(initial: float, batch_size: int, batch_size_norm: float) -> float:
    """Linear scaling rule: `initial` is the rate for batches of `batch_size_norm` (Goyal et al. 2017,
    https://arxiv.org/abs/1706.02677).
    """
    return initial * batch_size / batch_size_norm


def piecewise_constant(
    initial: float, steps_per_epoch: float, boundaries: Sequence[float], factors: Sequence[float]
) -> Schedule:
    """Piecewise constant schedule: `initial * factors[i]` between the boundaries.

    Args:
      initial: learning rate before the first boundary.
      steps_per_epoch: steps per epoch, already scaled by `nb_epochs_rat`.
      boundaries: epochs in increasing order; one fewer than `factors`.
      factors: factors of `initial`.
    """
    # Keras' schedule fails in its first step without any boundary.
    steps = [int(steps_per_epoch * epoch) for epoch in boundaries] or [0]
    rates = [initial * factor for factor in factors]
    return keras.optimizers.schedules.PiecewiseConstantDecay(steps, rates if boundaries else 2 * rates)


def check_drops(boundaries: Sequence[float], factors: Sequence[float]) -> None:
    """Raises a `UsageError` if boundaries and factors are no valid arguments of `piecewise_constant`."""
    for name, values in (('boundaries', boundaries), ('factors', factors)):
        if not isinstance(values, Sequence) or not all(isinstance(value, int | float) for value in values):
            raise UsageError(f'{name}={values!r}: give a tuple of numbers, as (30, 40) or (30,)')
    if len(factors) != len(boundaries) + 1:
        raise UsageError(
            f'boundaries={tuple(boundaries)} (epochs after which the learning rate changes) and factors='
            f'{tuple(factors)} (of the learning rate, before and after each) do not go together: give one '
            'factor more than boundaries, or no factors for a tenth after each boundary'
        )
    if list(boundaries) != sorted(boundaries) or any(epoch < 0 for epoch in boundaries):
        raise UsageError(f'boundaries={tuple(boundaries)}: give epochs from 0 on, in increasing order')


def tenths(num_boundaries: int) -> tuple[float, ...]:
    """Factors for a number of boundaries: 1, divided by 10 after each boundary."""
    return tuple(10.0**-i for i in range(num_boundaries + 1))


def one_cycle(peak: float, num_steps: int) -> Schedule:
    """One-cycle schedule: linear from 0 to `peak` in the first quarter, then half a cosine down to 0.

    After Smith and Topin 2017, https://arxiv.org/abs/1708.07120, without the cycle of the momentum.
    """
    warmup = max(1, int(WARMUP_SHARE * num_steps))
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, num_steps - warmup), warmup_target=peak, warmup_steps=warmup
    )


@keras.saving.register_keras_serializable(package='PocketFlow')
class GradualWarmup(Schedule):
    """A schedule with warm-up: the rate is multiplied by a factor that first grows linearly to 1.

    Goyal et al. 2017, section 2.2: large batches need large rates, with which training of initial weights may diverge.

    Args:
      schedule: the schedule.
      start: factor at step 0, in (0, 1].
      num_steps: number of steps until the factor is 1.
    """

    def __init__(self, schedule: Schedule, start: float, num_steps: int):
        super().__init__()
        self.schedule, self.start, self.num_steps = schedule, start, num_steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        progress = tf.minimum(tf.cast(step, tf.float32) / max(self.num_steps, 1), 1.0)
        return self.schedule(step) * (self.start + (1 - self.start) * progress)

    def get_config(self) -> dict[str, Any]:
        return {'schedule': self.schedule, 'start': self.start, 'num_steps': self.num_steps}
