from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph import Head, put_head_on, take_head_off

layers = keras.layers
SHAPE = (6, 6, 1)
IMAGES = np.random.default_rng(0).normal(size=(5, *SHAPE)).astype(np.float32)


def network(head: Callable[[tf.Tensor], tf.Tensor]) -> keras.Model:
    inputs = layers.Input(SHAPE)
    pooled = layers.GlobalAveragePooling2D(keepdims=True, name='pool')(layers.Conv2D(4, 3, name='conv')(inputs))
    return keras.Model(inputs, head(pooled), name='net')


def dense(features: tf.Tensor, activation: str | None = None) -> tf.Tensor:
    return layers.Dense(3, activation, name='dense')(layers.Flatten(name='flat')(features))


HEADS: dict[str, tuple[Callable[[tf.Tensor], tf.Tensor], Head]] = {
    'layer': (lambda x: layers.Softmax(name='head')(dense(x)), Head('softmax', 'head')),
    'activation layer': (lambda x: layers.Activation('softmax', name='head')(dense(x)), Head('softmax', 'head')),
    'activation': (lambda x: dense(x, 'softmax'), Head('softmax', 'dense')),
    'sigmoid': (lambda x: dense(x, 'sigmoid'), Head('sigmoid', 'dense')),
    'sigmoid layer': (
        lambda x: layers.Activation(keras.activations.sigmoid, name='head')(dense(x)),
        Head('sigmoid', 'head'),
    ),
    'convolution': (
        lambda x: layers.Flatten()(layers.Conv2D(3, 1, activation='softmax', name='conv2')(x)),
        Head('softmax', 'conv2'),
    ),
    'operator': (lambda x: tf.nn.softmax(dense(x)), Head('softmax', 'tf.nn.softmax')),
    'operator with an axis': (lambda x: tf.nn.softmax(dense(x), axis=-1), Head('softmax', 'tf.nn.softmax')),
    'keras function': (lambda x: keras.activations.softmax(dense(x)), Head('softmax', 'tf.nn.softmax')),
    'operator sigmoid': (lambda x: tf.sigmoid(dense(x)), Head('sigmoid', 'tf.math.sigmoid')),
    'reshape before': (
        lambda x: layers.Softmax(name='head')(layers.Reshape((3,))(layers.Conv2D(3, 1)(x))),
        Head('softmax', 'head'),
    ),
    'reshape behind': (
        lambda x: layers.Reshape((3,))(layers.Softmax(name='head')(layers.Conv2D(3, 1)(x))),
        Head('softmax', 'head'),
    ),
    'cast behind': (
        lambda x: layers.Activation('linear', dtype='float32')(layers.Softmax(name='head')(dense(x))),
        Head('softmax', 'head'),
    ),
}


@pytest.fixture(autouse=True)
def _fresh_names():
    keras.backend.reset_uids()


@pytest.mark.parametrize('name', HEADS)
def test_heads_are_taken_off(name):
    make, expected = HEADS[name]
    model = network(make)
    logits, head = take_head_off(model)
    assert head == expected
    apply = tf.nn.softmax if head.function == 'softmax' else tf.sigmoid
    np.testing.assert_allclose(apply(logits(IMAGES)), model(IMAGES), atol=1e-6)
    assert np.abs(np.sum(logits(IMAGES), axis=1) - 1).max() > 1e-3 and logits.output_shape == (None, 3)
    for weight, value in zip(logits.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, value)
    assert logits.name == 'net' and take_head_off(logits) == (logits, None)
    whole = put_head_on(logits, head)
    np.testing.assert_allclose(whole(IMAGES), model(IMAGES), atol=1e-6)
    again, same = take_head_off(whole)
    assert (same.function, same.layer, whole.name) == (head.function, whole.layers[-1].name, 'net')
    np.testing.assert_array_equal(again(IMAGES), logits(IMAGES))
    assert put_head_on(again, same).layers[-1].name == same.layer  # the name stays, as often as it is saved and read


@pytest.mark.parametrize(
    'end',
    [
        dense,
        lambda x: dense(x, 'relu'),
        lambda x: layers.Activation('log_softmax')(dense(x)),  # to the loss, the same as logits
        lambda x: layers.Flatten()(layers.Softmax(axis=1)(layers.Reshape((2, 2))(x))),  # two distributions of two
        lambda x: layers.Dense(3, name='last')(dense(x, 'softmax')),
        lambda x: [dense(x, 'softmax'), x],
    ],
)
def test_other_ends_stay_as_they_are(end):
    model = network(end)
    assert take_head_off(model) == (model, None)


def test_two_heads_are_both_taken_off_and_put_back_on():
    model = network(lambda x: layers.Softmax(name='second')(dense(x, 'sigmoid')))
    logits, head = take_head_off(model)
    assert head == Head('softmax', 'second', Head('sigmoid', 'dense'))
    assert logits.get_layer('dense').activation is keras.activations.linear
    np.testing.assert_allclose(put_head_on(logits, head)(IMAGES), model(IMAGES), atol=1e-6)


def test_the_name_of_the_head_is_a_free_one():
    model = network(lambda x: dense(layers.Conv2D(4, 1, name='dense_softmax')(x), 'softmax'))
    assert put_head_on(*take_head_off(model)).layers[-1].name == 'dense_softmax_'


def test_probabilities_that_are_used_elsewhere_are_refused():
    def gated(features: tf.Tensor) -> tf.Tensor:
        softmax = layers.Softmax(name='head')
        gate = softmax(layers.Dense(3, name='gate')(layers.Flatten()(features)))
        return softmax(layers.Multiply()([dense(features), gate]))

    with pytest.raises(UsageError, match=r"model 'net' ends with a softmax \(layer 'head'\), .* used elsewhere"):
        take_head_off(network(gated))


@pytest.mark.parametrize('function', ['softmax', 'sigmoid'])
def test_logits_are_computed_from_probabilities(function):
    logits = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    found = Head(function, 'x').logits_of(getattr(tf.nn, function)(logits))
    shift = logits.max(axis=1, keepdims=True) - found.max(axis=1, keepdims=True) if function == 'softmax' else 0
    np.testing.assert_allclose(found + shift, logits, atol=1e-5)


def test_probabilities_that_were_rounded_to_0_or_1_have_finite_logits():
    found = Head('sigmoid', 'x', is_single=True).logits_of(np.array([[0.0], [0.5], [1.0]]))
    np.testing.assert_allclose(found, [[0, np.log(1e-12)], [0, 0], [0, -np.log(1e-12)]], atol=1e-4)
    assert np.isfinite(Head('softmax', 'x').logits_of(np.array([[0.0, 1.0]]))).all()
