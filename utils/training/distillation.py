"""Distillation: the student also learns a teacher's softened predictions (Hinton et al. 2015,
https://arxiv.org/abs/1503.02531).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras as keras


def softened_cross_entropy(teacher_logits: tf.Tensor, student_logits: tf.Tensor, temperature: float) -> tf.Tensor:
    """Mean cross-entropy between the softened predictions: mean_n CE(softmax(t_n / T), softmax(s_n / T)).

    Hinton et al. 2015, section 2, without their factor T^2.

    Args:
      teacher_logits, student_logits: `[batch, classes]`.
      temperature: T.

    Returns:
      A scalar.
    """
    targets = tf.nn.softmax(teacher_logits / temperature)
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, student_logits / temperature))


@dataclasses.dataclass(frozen=True)
class Distillation:
    """A frozen teacher in inference mode, with the weight and the temperature of its loss.

    Attributes:
      teacher, weight, temperature: the teacher and the flags of its loss.
      distance: `distance(teacher outputs, student outputs, temperature)`, a scalar; that of the task.
    """

    teacher: keras.Model
    weight: float
    temperature: float
    distance: Callable[[Any, Any, float], tf.Tensor] = softened_cross_entropy

    def loss(self, inputs: Any, student_outputs: Any) -> tf.Tensor:
        """The distillation loss of a batch, a scalar; no gradient flows into the teacher."""
        teacher_outputs = tf.nest.map_structure(tf.stop_gradient, self.teacher(inputs, training=False))
        return self.weight * self.distance(teacher_outputs, student_outputs, self.temperature)
