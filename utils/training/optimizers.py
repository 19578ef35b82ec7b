"""The optimizers of `--optimizer`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.training.schedules import Schedule

DECOUPLED = ('adamw', 'lamb')
"""Optimizers that apply the weight decay themselves, so that it is not a part of the loss."""


def is_decayed(variable: tf.Variable) -> bool:
    """Whether weight decay applies to a variable: to kernels, not to biases and normalisation parameters."""
    return bool(variable.name.split('/')[-1].split(':')[0].endswith('kernel'))


class Lamb(keras.optimizers.Optimizer):
    """LAMB: Adam with decoupled weight decay and a step per variable relative to its norm.

    With Adam's bias-corrected moments m and v: r = m / (sqrt(v) + epsilon) + decay w, and
    w <- w - learning_rate (|w| / |r|) r; the factor |w| / |r| is 1 if either norm is 0.
    You et al. 2020, https://arxiv.org/abs/1904.00962, algorithm 2.

    Args:
      learning_rate: number or schedule.
      decay: factor of the weight decay, on variables for which `is_decayed` is true.
      beta_1, beta_2: decay rates of the moments.
      epsilon: added to the square root of the second moment.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-3,
        decay: float = 0.0,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        name: str = 'Lamb',
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.decay, self.beta_1, self.beta_2, self.epsilon = decay, beta_1, beta_2, epsilon

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        super().build(var_list)
        if getattr(self, '_built', False):
            return
        self._built = True
        self._moments = [
            tuple(self.add_variable_from_reference(variable, name) for name in ('m', 'v')) for variable in var_list
        ]

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        first, second = self._moments[self._index_dict[self._var_key(variable)]]
        gradient = tf.convert_to_tensor(gradient)
        first.assign(self.beta_1 * first + (1 - self.beta_1) * gradient)
        second.assign(self.beta_2 * second + (1 - self.beta_2) * tf.square(gradient))
        step = tf.cast(self.iterations + 1, variable.dtype)
        corrected = [
            moment / (1 - tf.pow(tf.cast(beta, variable.dtype), step))
            for moment, beta in ((first, self.beta_1), (second, self.beta_2))
        ]
        direction = corrected[0] / (tf.sqrt(corrected[1]) + self.epsilon)
        if self.decay and is_decayed(variable):
            direction += self.decay * variable
        norm, length = tf.norm(variable), tf.norm(direction)
        factor = tf.where((norm > 0) & (length > 0), norm / tf.where(length > 0, length, 1.0), 1.0)
        variable.assign_sub(tf.cast(self.learning_rate, variable.dtype) * factor * direction)

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().get_config()
        learning_rate = self._serialize_hyperparameter(self._learning_rate)
        own = {'decay': self.decay, 'beta_1': self.beta_1, 'beta_2': self.beta_2, 'epsilon': self.epsilon}
        return {**config, 'learning_rate': learning_rate, **own}


def make_optimizer(
    name: str, learning_rate: Schedule, momentum: float, weight_decay: float, variables: Sequence[tf.Variable]
) -> keras.optimizers.Optimizer:
    """The optimizer for a training.

    Args:
      name: one of `OPTIMIZERS` in `pocketflow.nets.options`.
      learning_rate: the schedule.
      momentum: of `sgd`.
      weight_decay: factor of the decoupled weight decay of `adamw` and `lamb`.
      variables: the variables that will be trained.
    """
    if name == 'sgd':
        return keras.optimizers.SGD(learning_rate, momentum=momentum, jit_compile=False)
    if name == 'adam':
        return keras.optimizers.Adam(learning_rate, jit_compile=False)
    if name == 'lamb':
        return Lamb(learning_rate, weight_decay, jit_compile=False)
    optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay, jit_compile=False)
    optimizer.exclude_from_weight_decay([variable for variable in variables if not is_decayed(variable)])
    return optimizer
