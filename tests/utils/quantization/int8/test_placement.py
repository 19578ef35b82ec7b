"""Where the runtime rounds, for a few layers in a row."""

from __future__ import annotations

import pytest
import tf_keras as keras

from pocketflow.utils.quantization.int8.placement import places

layers = keras.layers


@pytest.mark.parametrize(
    ('make', 'rounded'),
    [
        (lambda x: layers.ReLU(6.0, name='relu')(x + 3.0), ['relu']),
        (lambda x: layers.ReLU(name='relu')(x * 2.0 - 1.0), ['tf.math.multiply', 'relu']),
        (lambda x: layers.Activation('sigmoid', name='gate')(x), ['gate']),
        (lambda x: layers.Concatenate(name='join')([layers.Softmax(name='gate')(x), x]), ['gate', 'join']),
        (lambda x: layers.Concatenate(name='join')([layers.ReLU(name='relu')(x), x]), ['join']),
        (lambda x: layers.Activation('tanh', name='gate')(layers.MaxPooling2D()(x)), ['gate']),
    ],
)
def test_what_is_rounded(make, rounded):
    keras.backend.clear_session()
    inputs = layers.Input((4, 4, 2))
    assert [name for name, place in places(keras.Model(inputs, make(inputs))).items() if place.output] == rounded


def test_fixed_ranges_are_named():
    inputs = layers.Input((4, 4, 2))
    model = keras.Model(inputs, layers.Softmax(name='last')(layers.Activation('tanh', name='first')(inputs)))
    assert {name: place.fixed for name, place in places(model).items()} == {'first': 'tanh', 'last': 'softmax'}
