from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph.split import behind, border, copy_weights, layers_before

layers = keras.layers


def residual() -> keras.Model:
    """Two blocks, each with a shortcut, and a dense layer."""
    inputs = layers.Input((6, 6, 3), name='images')
    outputs = layers.Conv2D(4, 3, padding='same', name='stem')(inputs)
    for block in (1, 2):
        inner = layers.Conv2D(4, 3, padding='same', activation='relu', name=f'conv{block}')(outputs)
        outputs = layers.Add(name=f'add{block}')([outputs, inner])
    outputs = layers.GlobalAveragePooling2D(name='pool')(outputs)
    return keras.Model(inputs, layers.Dense(2, name='last')(outputs))


def test_what_a_layer_depends_on():
    model = residual()
    assert layers_before(model, 'conv1') == {'images', 'stem', 'conv1'}
    assert layers_before(model, 'add1') == {'images', 'stem', 'conv1', 'add1'}
    assert layers_before(model, 'last', included=False) == {layer.name for layer in model.layers} - {'last'}
    with pytest.raises(UsageError, match="has no layer 'conv9'; its layers with weights are stem, conv1, conv2, last"):
        layers_before(model, 'conv9')


def test_a_model_is_the_same_in_two_parts():
    model = residual()
    images = np.random.default_rng(0).standard_normal((3, 6, 6, 3)).astype(np.float32)
    for name in ('stem', 'add1', 'add2', 'pool'):
        names = layers_before(model, name)
        tensor = border(model, names)
        rest = behind(model, tensor, names)
        assert {layer.name for layer in rest.layers} == {layer.name for layer in model.layers} - names | {'features'}
        features = keras.Model(model.input, tensor)(images)
        np.testing.assert_allclose(rest(features), model(images), atol=1e-6)


def test_there_is_no_border_where_several_tensors_cross_it():
    model = residual()
    assert border(model, layers_before(model, 'conv2')) is None  # its shortcut crosses, too
    shared = layers.Dense(3, name='shared')
    inputs = layers.Input((3,), name='numbers')
    twice = keras.Model(inputs, layers.Dense(1)(shared(shared(inputs))))
    assert border(twice, {'numbers', 'shared'}) is None


def test_weights_are_copied_by_name_in_both_directions():
    model = residual()
    names = layers_before(model, 'add1')
    rest = behind(model, border(model, names), names)
    for layer in rest.layers:
        layer.set_weights([array + 1 for array in layer.get_weights()])
    before = [array.copy() for array in model.get_layer('conv1').get_weights()]
    copy_weights(rest, model)
    np.testing.assert_array_equal(model.get_layer('last').get_weights()[0], rest.get_layer('last').get_weights()[0])
    np.testing.assert_array_equal(model.get_layer('conv1').get_weights()[0], before[0])
