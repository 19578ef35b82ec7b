from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.nets.answers import answers_of

layers = keras.layers


def test_answers_are_those_of_the_network_as_it_is_now():
    inputs = layers.Input((4,))
    features = layers.Dropout(0.5)(layers.BatchNormalization()(inputs))
    model = keras.Model(inputs, layers.Dense(3)(features))
    answers, images = answers_of(model), np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    expected = model(images).numpy()
    model.layers[-1].kernel.assign(tf.zeros([4, 3]))
    batches = tf.data.Dataset.from_tensor_slices(images).batch(4).map(answers.of)
    assert answers.spec == tf.TensorSpec([None, 3], tf.float32)
    np.testing.assert_allclose(np.concatenate(list(batches.as_numpy_iterator())), expected, rtol=1e-5)


def test_several_outputs_become_a_dict():
    inputs = layers.Input((4,))
    outputs = [layers.Dense(2, name='a')(inputs), layers.Dense(1, name='b')(inputs)]
    answers, named = (
        answers_of(keras.Model(inputs, found)) for found in (outputs, dict(zip('xy', outputs, strict=True)))
    )
    assert {name: spec.shape.as_list() for name, spec in answers.spec.items()} == {'a': [None, 2], 'b': [None, 1]}
    assert answers.of(np.zeros((3, 4), np.float32))['a'].shape == (3, 2)
    assert set(named.spec) == set(named.of(np.zeros((3, 4), np.float32))) == {'x', 'y'}


def test_names_and_seeds_of_later_layers_are_not_affected():
    model = keras.Sequential([layers.Input((2,)), layers.Dense(2)])
    keras.backend.reset_uids()
    before = layers.Dense(1).name
    keras.backend.reset_uids()
    answers_of(model)
    assert layers.Dense(1).name == before
