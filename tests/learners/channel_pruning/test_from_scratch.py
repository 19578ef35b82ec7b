from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.learners.channel_pruning.from_scratch import with_new_weights

layers = keras.layers


def network() -> keras.Model:
    inputs = keras.Input((4, 4, 3))
    x = layers.Normalization(mean=1.0, variance=4.0, name='given')(inputs)
    x = layers.Conv2D(5, 3, name='frozen', trainable=False)(x)
    x = layers.BatchNormalization(name='bn')(layers.Conv2D(4, 1, name='conv')(x))
    model = keras.Model(inputs, layers.Dense(2, name='dense')(layers.Flatten()(x)))
    for weight in model.weights:
        weight.assign(tf.fill(weight.shape, 0.5))
    return model


def test_weights_are_initial_ones_drawn_with_the_seed_and_given_ones_stay():
    model = network()
    first, same, other = (with_new_weights(model, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.get_layer('frozen').kernel, model.get_layer('frozen').kernel)
    kernels = [each.get_layer('conv').kernel.numpy() for each in (first, same, other)]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).max() > 0.01 and np.abs(kernels[0] - 0.5).max() > 0.01
    values = [weight.numpy().tolist() for weight in first.get_layer('bn').weights]
    assert values == [[1.0] * 4, [0.0] * 4, [0.0] * 4, [1.0] * 4]
    assert model.get_layer('conv').kernel.numpy().min() == 0.5  # the given model is left alone


def test_neither_depends_on_other_random_numbers():
    model, drawn, kernels = network(), [], []
    for renewed in (False, True):
        keras.utils.set_random_seed(3)
        if renewed:
            kernels.append(with_new_weights(model, 1).get_layer('dense').kernel.numpy())
        drawn.append(keras.initializers.GlorotUniform()((2, 2)).numpy())
    np.testing.assert_array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(kernels[0], with_new_weights(model, 1).get_layer('dense').kernel)
