from __future__ import annotations

import logging

import keras as keras3  # noqa: TID251 (what users have, too)
import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph import Head, StandardForm, standard_form

layers = keras.layers
IMAGES = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype(np.float32)


def sequential(**shape: tuple[int, ...]) -> keras.Model:
    return keras.Sequential([layers.Flatten(**shape), layers.Dense(3, 'softmax', name='last')], name='net')


def test_a_model_in_this_form_is_handed_on_as_it_is():
    inputs = layers.Input((4,))
    model = keras.Model(inputs, layers.Dense(2)(inputs))
    assert standard_form(model) == StandardForm(model)


@pytest.mark.parametrize('model', [sequential(), sequential(input_shape=(8, 8, 1))])
def test_a_sequential_model_is_built_and_loses_its_head(model, caplog):
    form = standard_form(model, (8, 8, 1))
    assert form.head == Head('softmax', 'last') and form.model.input_shape == (None, 8, 8, 1)
    np.testing.assert_allclose(tf.nn.softmax(form.model(IMAGES)), model(IMAGES), atol=1e-6)
    with caplog.at_level(logging.WARNING, logger='absl'):
        form.log('here')
    (message,) = caplog.messages
    assert message == (
        "here: the softmax at its end (layer 'last') was removed, because the loss takes logits; the "
        'saved and the exported models give logits too, in the same order of classes'
    )


def test_a_head_behind_nested_models_is_found():
    model = keras.Sequential([layers.Input((8, 8, 1)), layers.ReLU(), sequential(input_shape=(8, 8, 1))])
    form = standard_form(model)
    assert form.head == Head('softmax', 'last')
    np.testing.assert_allclose(tf.nn.softmax(form.model(IMAGES)), model(IMAGES), atol=1e-6)


def test_a_head_stays_where_the_loss_takes_probabilities():
    model = sequential(input_shape=(8, 8, 1))
    form = standard_form(model, wants_logits=False)
    np.testing.assert_array_equal(form.model(IMAGES), model(IMAGES))


def test_what_is_no_model_of_tf_keras_is_refused():
    with pytest.raises(UsageError, match='it is a builtins.int, not a model of tf_keras'):
        standard_form(1)
    with pytest.raises(UsageError, match='it is a keras.*Sequential, not a model of tf_keras; build it with'):
        standard_form(keras3.Sequential([]))
    with pytest.raises(UsageError, match=r"model 'net' cannot be built for inputs of shape \(2, 2, 1\)"):
        standard_form(keras.Sequential([layers.Conv2D(1, 3)], name='net'), (2, 2, 1))
