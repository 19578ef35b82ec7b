"""Models are built within bounds of memory and time."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.models import building
from pocketflow.utils.models.building import build, with_ordered_layers
from pocketflow.utils.models.calls import OrderedLayers
from pocketflow.utils.models.errors import UnreadableError

layers = keras.layers


def dense(units: int = 4):
    def make() -> keras.Model:
        inputs = keras.Input((3,))
        return keras.Model(inputs, layers.Dense(units, name='dense', bias_initializer='ones')(inputs))

    return make


def test_a_model_may_have_as_many_values_as_are_stored():
    assert build(dense(), 3 * 4 + 4).count_params() == 16
    with pytest.raises(UnreadableError, match='its layers need more than the 15 values that are stored'):
        build(dense(), 15)


def test_first_values_are_zeros_where_they_are_not_wanted():
    filled, empty = build(dense(), 16), build(dense(), 16, fill=False)
    assert filled.get_layer('dense').bias.numpy().tolist() == [1, 1, 1, 1]
    assert all(not np.any(weight) for weight in empty.get_weights())


def test_large_tensors_are_refused_before_they_are_made():
    def make() -> keras.Model:
        inputs = keras.Input((2**14,))
        return keras.Model(inputs, layers.RepeatVector(2**15, name='large')(inputs))

    with pytest.raises(UnreadableError, match=r"layer 'large' works on a tensor of shape \[None, 32768, 16384\]"):
        build(make, 0)


def test_calls_are_counted_and_the_method_of_keras_is_put_back(monkeypatch):
    monkeypatch.setattr(building, 'MAX_CALLS', 3)
    before = layers.Layer.__call__

    def make() -> keras.Model:
        x = inputs = keras.Input((3,))
        for _ in range(4):
            x = layers.ReLU()(x)
        return keras.Model(inputs, x)

    with pytest.raises(UnreadableError, match='its layers are called more than 3 times'):
        build(make, 0)
    assert layers.Layer.__call__ is before


def test_unrolled_steps_are_bounded():
    def make() -> keras.Model:
        inputs = keras.Input((building.MAX_PARTS + 1, 1))
        return keras.Model(inputs, layers.SimpleRNN(1, unroll=True, name='steps')(inputs))

    with pytest.raises(UnreadableError, match="layer 'steps' writes out 1025 parts; up to 1024 are accepted"):
        build(make, 100)


def test_errors_of_keras_pass():
    with pytest.raises(ZeroDivisionError):
        build(lambda: 1 / 0, 0)


def test_only_lists_of_layers_are_ordered():
    config = {'config': {'layers': [{'layers': []}], 'other': [1, {'layers': 'text'}]}}
    found = with_ordered_layers(config)
    assert isinstance(found['config']['layers'], OrderedLayers)
    assert found['config']['other'] == [1, {'layers': 'text'}] and config['config']['layers'] == [{'layers': []}]
