from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.learners.channel_pruning import contributions
from pocketflow.learners.channel_pruning.forward import forward, parts
from pocketflow.utils.channels import trace

layers = keras.layers


def branching() -> keras.Model:
    """One tensor is read by two layers; batch norm has statistics of its own."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((2,))
    x = layers.BatchNormalization(name='norm')(layers.Dense(3, name='first')(inputs))
    model = keras.Model(inputs, {'sum': layers.Add()([layers.Dense(1, name=name)(x) for name in ('one', 'two')])})
    model.get_layer('norm').set_weights([np.ones(3), np.zeros(3), np.arange(3.0), np.full(3, 4.0)])
    return model


def test_outputs_and_inputs_are_those_of_the_model():
    model, images = branching(), np.ones((4, 2), np.float32)
    run = forward(trace(model), images, ['one'])
    np.testing.assert_allclose(run.outputs['sum'], model(images)['sum'], rtol=1e-6)
    expected = (model.get_layer('first')(images) - np.arange(3.0)) / np.sqrt(4.001)
    np.testing.assert_allclose(run.inputs['one'], expected, rtol=1e-5)


def test_gradients_are_those_through_one_reader():
    model, images = branching(), np.ones((1, 2), np.float32)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        run = forward(trace(model), images, ['one', 'two'], tape.watch)
        loss = tf.reduce_sum(run.outputs['sum'])
    found = tape.gradient(loss, dict(run.inputs))
    for name in ('one', 'two'):
        np.testing.assert_allclose(found[name][0], model.get_layer(name).kernel.numpy()[:, 0], rtol=1e-6)


def test_parts_cover_all_images_and_are_smaller_for_large_tensors(monkeypatch):
    graph, images = trace(branching()), np.ones((7, 2), np.float32)
    assert list(parts(graph, images)) == [slice(0, 7)]
    held = 4 * (2 + 3 + 3 + 1 + 1 + 1)  # float32: inputs, first, norm, one, two, sum
    monkeypatch.setattr(contributions, 'CHUNK_BYTES', 3 * 2 * held)
    assert list(parts(graph, images)) == [slice(0, 3), slice(3, 6), slice(6, 7)]
