from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning.layerwise import LayerwiseRun

layers = keras.layers


def residual_net() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 2))
    stem = layers.Conv2D(4, 3, padding='same', name='stem')(inputs)
    branch = layers.Conv2D(4, 3, padding='same', name='branch')(layers.ReLU(name='relu')(stem))
    total = layers.Add(name='add')([branch, stem])
    return keras.Model(inputs, layers.Dense(3, name='dense')(layers.Flatten(name='flatten')(total)))


def test_inputs_are_those_of_the_whole_model():
    model, images = residual_net(), np.random.default_rng(0).normal(size=(10, 6, 6, 2)).astype(np.float32)
    run = LayerwiseRun(model, [images[:4], images[4:]])
    for name in ('stem', 'branch', 'dense'):
        run.run_until(name)
        values = np.concatenate(run.input_of(name))
        expected = keras.Model(model.input, model.get_layer(name).input)(images).numpy()
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)


def test_weights_are_read_when_a_layer_is_run_and_old_values_are_dropped():
    model, images = residual_net(), np.ones((3, 6, 6, 2), np.float32)
    run = LayerwiseRun(model, [images])
    run.run_until('branch')
    assert run.input_of('branch')[0].shape == (3, 6, 6, 4)
    model.get_layer('branch').kernel.assign(np.zeros((3, 3, 4, 4)))
    run.run_until('dense')
    stem = keras.Model(model.input, model.get_layer('stem').output)(images).numpy()
    np.testing.assert_allclose(run.input_of('dense')[0], stem.reshape(3, -1), rtol=1e-5)
    with pytest.raises(KeyError):
        run.input_of('branch')
