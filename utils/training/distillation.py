"""Distillation: the student also learns a teacher's softened predictions (Hinton et al. 2015,
https://arxiv.org/abs/1503.02531).
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf
import tf_keras as keras


def distillation_loss(
    teacher_logits: tf.Tensor, student_logits: tf.Tensor, weight: float, temperature: float
) -> tf.Tensor:
    """Mean cross-entropy between the softened predictions: w * mean_n CE(softmax(t_n / T), softmax(s_n / T)).

    Hinton et al. 2015, section 2, without their factor T^2.

    Args:
      teacher_logits, student_logits: `[batch, classes]`.
      weight: w.
      temperature: T.

    Returns:
      A scalar.
    """
    targets = tf.nn.softmax(teacher_logits / temperature)
    return weight * tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, student_logits / temperature))


@dataclasses.dataclass(frozen=True)
class Distillation:
    """A frozen teacher in inference mode, with the weight and the temperature of its loss."""

    teacher: keras.Model
    weight: float
    temperature: float

    def loss(self, images: tf.Tensor, student_logits: tf.Tensor) -> tf.Tensor:
        """The distillation loss of a batch, a scalar; no gradient flows into the teacher."""
        teacher_logits = tf.stop_gradient(self.teacher(images, training=False))
        return distillation_loss(teacher_logits, student_logits, self.weight, self.temperature)
