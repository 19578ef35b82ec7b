from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.nets.options import OPTIMIZERS
from pocketflow.utils.training.optimizers import DECOUPLED, Lamb, is_decayed, make_optimizer


def test_lamb_by_hand():
    kernel, bias = tf.Variable([3.0, 4.0], name='dense/kernel'), tf.Variable([0.0], name='dense/bias')
    optimizer = Lamb(0.1, decay=0.5, epsilon=0.0, jit_compile=False)
    optimizer.apply_gradients([(tf.constant([2.0, -2.0]), kernel), (tf.constant([5.0]), bias)])
    # The first step: m / sqrt(v) is the sign of the gradient. r = (1, -1) + 0.5 (3, 4) = (2.5, 1), |w| = 5.
    r = np.array([2.5, 1.0])
    np.testing.assert_allclose(kernel, np.array([3.0, 4.0]) - 0.1 * 5 / math.hypot(*r) * r, rtol=1e-5)
    np.testing.assert_allclose(bias, [-0.1], rtol=1e-5)  # its norm is 0: the factor is 1, and biases do not decay


def test_lamb_of_its_config():
    again = Lamb.from_config(Lamb(0.25, decay=0.5, beta_1=0.8).get_config())
    assert (float(again.learning_rate), again.decay, again.beta_1) == (0.25, 0.5, 0.8)


@pytest.mark.parametrize('name', OPTIMIZERS)
def test_every_optimizer_learns(name):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(2,))])
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([60], [0.1, 0.01])
    optimizer = make_optimizer(name, schedule, 0.9, 1e-4, model.trainable_variables)
    inputs = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    labels = inputs @ np.float32([[1.0], [-2.0]]) + 0.5
    for _ in range(80):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(inputs) - labels))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    assert float(loss) < 0.05


@pytest.mark.parametrize('name', DECOUPLED)
def test_only_kernels_decay(name):
    model = keras.Sequential([keras.layers.Dense(2, input_shape=(3,), bias_initializer='ones')])
    kernel, bias = model.trainable_variables
    assert is_decayed(kernel) and not is_decayed(bias)
    before = kernel.numpy()
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([100], [0.1, 0.1])
    optimizer = make_optimizer(name, schedule, 0.9, 0.5, [kernel, bias])
    optimizer.apply_gradients([(tf.zeros_like(kernel), kernel), (tf.zeros_like(bias), bias)])
    assert np.linalg.norm(kernel) < np.linalg.norm(before)
    np.testing.assert_array_equal(bias, np.ones(2))
