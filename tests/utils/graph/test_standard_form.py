from __future__ import annotations

import logging

import keras as keras3  # noqa: TID251 (what users have, too)
import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph import Head, StandardForm, put_head_on, standard_form

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
    with caplog.at_level(logging.INFO, logger='absl'):
        form.log('here')
    (message,) = caplog.messages
    assert message == (
        "here: the softmax at its end (layer 'last') is taken off, because the loss takes logits, and is put back on "
        'in the saved model and in the exported files (in these unless --export_head=logits)'
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


@pytest.mark.parametrize(('activation', 'function'), [('sigmoid', 'sigmoid'), (None, 'linear')])
def test_a_single_output_becomes_two_logits(activation, function):
    inputs = layers.Input((8, 8, 1))
    outputs = layers.Dense(1, activation, name='last')(layers.Flatten()(inputs))
    model = keras.Model(inputs, outputs)
    form = standard_form(model, (8, 8, 1), num_classes=2)
    assert form.head == Head(function, 'last', is_single=True) and form.model.output_shape == (None, 2)
    logits = form.model(IMAGES)
    expected = model(IMAGES)[:, 0]
    np.testing.assert_array_equal(logits[:, 0], np.zeros(len(IMAGES)))
    found = tf.nn.softmax(logits)[:, 1] if activation else logits[:, 1]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(put_head_on(form.model, form.head)(IMAGES)[:, 0], expected, atol=1e-6)
    assert standard_form(model, (8, 8, 1), num_classes=1).model.output_shape == (None, 1)


def test_a_network_for_inputs_of_any_size_takes_those_of_the_data():
    inputs = layers.Input((None, None, 1), name='images')
    x = layers.GlobalMaxPooling2D()(layers.Conv2D(2, 3, name='conv')(layers.Resizing(6, 6)(inputs)))
    model = keras.Model(inputs, x, name='net')
    form = standard_form(model, (8, 8, 1))
    assert form.model.input_shape == (None, 8, 8, 1) and form.model.name == 'net'
    assert [layer.name for layer in form.model.layers] == [layer.name for layer in model.layers]
    np.testing.assert_allclose(form.model(IMAGES), model(IMAGES), atol=1e-6)
    assert standard_form(model, (8, 8, 3)).model.input_shape == (None, None, None, 1)
