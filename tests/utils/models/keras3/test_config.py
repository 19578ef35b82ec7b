"""What values in a configuration of Keras 3 stand for."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.utils.models.errors import UnreadableError
from pocketflow.utils.models.keras3.config import (
    calls_of,
    is_keras3,
    is_model,
    is_operation,
    numbers_of,
    own_class,
    policy_of,
    references,
    value_of,
)

TENSOR = {'class_name': '__keras_tensor__', 'config': {'keras_history': ['dense', 0, 1]}}


@pytest.mark.parametrize(
    ('version', 'config', 'expected'),
    [
        ('3.9.2', {}, True),
        ('2.19.0', {'module': 'keras.src.models.functional'}, False),
        ('x', {}, False),
        (None, {'module': 'keras.src.models.functional'}, True),
        (None, {'module': 'keras'}, False),
        (None, [], False),
    ],
)
def test_the_release_or_the_module_tells(version, config, expected):
    assert is_keras3(version, config) is expected


def test_models_operations_and_classes_are_told_apart():
    model = {'class_name': 'Functional', 'config': {'layers': []}}
    assert is_model(model) and not is_model({**model, 'config': {}}) and not is_model({**model, 'module': 'mine'})
    assert is_operation({'module': 'keras.src.ops.numpy', 'class_name': 'Add', 'config': {}})
    assert is_operation({'class_name': 'Add', 'config': {'name': 'add'}})
    assert not is_operation({'class_name': 'Add', 'config': {'name': 'add', 'trainable': True}})
    assert not is_operation(model)
    assert own_class({'class_name': 'Dense', 'module': 'keras.layers'}) == 'Dense'
    assert own_class({'class_name': 'Dense', 'registered_name': 'mine>Dense'}) is None


@pytest.mark.parametrize(
    ('dtype', 'expected'),
    [(None, 'float32'), ('int32', 'int32'), ({'class_name': 'DTypePolicy', 'config': {'name': 'float16'}}, 'float16')],
)
def test_types(dtype, expected):
    assert policy_of(dtype) == expected


def test_a_type_that_keras_2_lacks_is_refused():
    with pytest.raises(UnreadableError, match="it has the type 'float8_e4m3', which Keras 2 does not have"):
        policy_of('float8_e4m3')


def test_arguments_of_calls():
    value = {
        'a': [TENSOR, 1, 'text'],
        'b': {'class_name': '__tuple__', 'items': [{'class_name': '__ellipsis__'}, 2]},
        'c': {'class_name': '__slice__', 'config': {'start': 1, 'stop': None, 'step': 2}},
        'd': {'class_name': '__numpy__', 'config': {'value': [1, 2], 'dtype': 'int8'}},
    }
    found = value_of(value, lambda reference: reference)
    assert found['a'] == [('dense', 0, 1), 1, 'text'] and found['b'] == (..., 2) and found['c'] == slice(1, None, 2)
    assert found['d'].dtype == np.int8 and numbers_of(value['d']) == [1, 2] and numbers_of(3) == 3
    assert list(references(value)) == [('dense', 0, 1)]


@pytest.mark.parametrize('history', [None, ['dense', 0], ['dense', -1, 0], ['dense', True, 0], [1, 0, 0]])
def test_tensors_that_cannot_be_are_refused(history):
    with pytest.raises(UnreadableError, match='its architecture names the tensor .*, which does not exist'):
        list(references({**TENSOR, 'config': {'keras_history': history}}))


def test_other_objects_and_lists_are_refused():
    with pytest.raises(UnreadableError, match="it calls a layer with a 'Popen', which is not accepted"):
        value_of({'class_name': 'Popen', 'config': {}}, lambda reference: None)
    assert calls_of({}) == []
    with pytest.raises(UnreadableError, match='its architecture lists calls of layers in an unknown way'):
        calls_of({'inbound_nodes': 'x'})
