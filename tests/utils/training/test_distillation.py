from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.training.distillation import Distillation, softened_cross_entropy


def test_loss_by_hand():
    # T = 2: teacher (2 ln 3, 0) / 2 -> (3/4, 1/4); student (0, 0) -> (1/2, 1/2); cross-entropy ln 2.
    teacher = tf.constant([[2 * math.log(3), 0.0]])
    assert float(softened_cross_entropy(teacher, tf.zeros([1, 2]), 2.0)) == pytest.approx(math.log(2))
    # student equal to the teacher: the entropy of (3/4, 1/4)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert float(softened_cross_entropy(teacher, teacher, 2.0)) == pytest.approx(entropy)


def test_no_gradient_reaches_the_teacher():
    inputs = keras.Input((3,))
    teacher = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    images, student = tf.constant(np.ones((4, 3), np.float32)), tf.Variable(tf.zeros([4, 2]))
    with tf.GradientTape(persistent=True) as tape:
        loss = Distillation(teacher, 3.0, 4.0).loss(images, student)
    assert float(loss) == pytest.approx(3 * float(softened_cross_entropy(teacher(images), student, 4.0)))
    assert tape.gradient(loss, teacher.trainable_variables) == [None, None]
    assert tape.gradient(loss, student) is not None
