from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph import check_round_trip

layers = keras.layers
register = keras.saving.register_keras_serializable('test_round_trip')


def odd_sign(x: tf.Tensor) -> tf.Tensor:
    return x / (1 + tf.abs(x))


@register
def known_odd_sign(x: tf.Tensor) -> tf.Tensor:
    return odd_sign(x)


class Scale(layers.Layer):
    """Multiplies by a weight and by a number."""

    def __init__(self, factor: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape: tf.TensorShape) -> None:
        self.scale = self.add_weight('scale', initializer='ones')

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs * self.scale * self.factor


@register
class KnownScale(Scale):
    """It can be read again."""

    def get_config(self) -> dict:
        return {**super().get_config(), 'factor': self.factor}


@register
class Forgetful(Scale):
    """It can be read again, but has lost its factor."""

    def get_config(self) -> dict:
        return layers.Layer.get_config(self)


@register
class Unspeakable(Scale):
    """Its configuration is no JSON."""

    def get_config(self) -> dict:
        return {**layers.Layer.get_config(self), 'factor': np.random.default_rng(0)}


@register
class Stubborn(Scale):
    """It cannot be made from its configuration."""

    def get_config(self) -> dict:
        return {**layers.Layer.get_config(self), 'color': 'red'}


def with_layer(layer: layers.Layer) -> keras.Model:
    inputs = layers.Input((4,))
    return keras.Model(inputs, layers.Dense(2, name='logits')(layer(inputs)), name='net')


ACCEPTED = {
    'of Keras': lambda: layers.Dense(2, activation=tf.nn.relu6, kernel_regularizer='l2'),
    'activation layer': lambda: layers.Dense(2, activation=layers.LeakyReLU(0.2)),
    'registered function': lambda: layers.Dense(2, activation=known_odd_sign),
    'registered class': lambda: KnownScale(3.0),
}


@pytest.mark.parametrize('name', ACCEPTED)
def test_what_can_be_read_again_is_accepted(name):
    layer = ACCEPTED[name]()
    inputs = layers.Input((4, 1))
    check_round_trip(keras.Model(inputs, layer(inputs) * 2.0 + np.ones(1, np.float32)), 'here')


REFUSED = {
    'lambda': (lambda: layers.Lambda(lambda x: x, name='odd'), 'is a Lambda layer, which holds Python code'),
    'lambda activation': (lambda: layers.Dense(2, lambda x: x, name='odd'), 'has a lambda as its activation'),
    'lambda initializer': (
        lambda: layers.Dense(2, kernel_initializer=lambda shape, dtype=None: tf.ones(shape), name='odd'),
        'has a lambda as its kernel_initializer',
    ),
    'function': (lambda: layers.Dense(2, odd_sign, name='odd'), 'has odd_sign as its activation, which no saved'),
    'function of TensorFlow': (lambda: layers.Dense(2, tf.sin, name='odd'), 'has sin as its activation'),
    'class': (lambda: Scale(name='odd'), 'is of class Scale, which no saved model could be'),
    'class within': (lambda: layers.TimeDistributed(Scale(), name='odd'), 'is of class Scale'),
    'class that Keras does not find there': (
        lambda: layers.TimeDistributed(KnownScale(), name='odd'),
        r'\(TimeDistributed\) cannot be saved and read again .*KnownScale',
    ),
    'no JSON': (
        lambda: Unspeakable(name='odd'),
        r'\(Unspeakable\) cannot be saved and read again \(.*Cannot serialize object',
    ),
    'no such argument': (lambda: Stubborn(name='odd'), r'\(Stubborn\) cannot be saved and read again .* get_config'),
}


@pytest.mark.filterwarnings(
    'ignore:The object being serialized includes a `lambda`', 'ignore:The `keras.initializers.serialize'
)
@pytest.mark.parametrize('name', REFUSED)
def test_what_cannot_be_read_again_is_refused_by_name(name):
    make, message = REFUSED[name]
    layer = make()
    inputs = layers.Input((4, 1))
    with pytest.raises(UsageError, match=f"^here: layer 'odd' {message}") as refusal:
        check_round_trip(keras.Model(inputs, layer(inputs)), 'here')
    assert 'register_keras_serializable' in str(refusal.value) and '\n' not in str(refusal.value)


def test_a_layer_that_forgets_its_arguments_is_refused():
    check_round_trip(with_layer(Forgetful()), 'here')
    with pytest.raises(
        UsageError,
        match=r'here: saved and read again, the outputs of the model differ; its own '
        r'layers \(Forgetful\) must give all arguments of __init__ in get_config',
    ):
        check_round_trip(with_layer(Forgetful(3.0)), 'here')


def test_a_model_is_left_as_it_is():
    model = with_layer(KnownScale(3.0))
    before = model.get_weights()
    check_round_trip(model, 'here')
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_operations_that_no_reader_accepts_are_refused():
    inputs = layers.Input((4,))
    model = keras.Model(inputs, tf.debugging.check_numerics(inputs, 'message'), name='net')
    with pytest.raises(UsageError, match='^here: once saved, the model could not be read again: .*check_num'):
        check_round_trip(model, 'here')
