"""What a configuration may contain."""

from __future__ import annotations

import json

import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.models import architecture
from pocketflow.utils.models.errors import UnreadableError
from tests.utils.container.samples import residual_net

layers = keras.layers
OPERATIONS = 'tf_keras.src.layers.core.tf_op_layer'


def config_of(model: keras.Model) -> dict:
    return json.loads(json.dumps(keras.saving.serialize_keras_object(model)))


def functional(function) -> keras.Model:
    inputs = keras.Input((4,))
    return keras.Model(inputs, function(inputs))


@pytest.mark.parametrize(
    'make',
    [
        residual_net,
        lambda: keras.Sequential([keras.Input((4,)), layers.Dense(3, activation='relu', kernel_constraint='max_norm')]),
        lambda: functional(lambda x: tf.nn.relu6(tf.reshape(x * 2.0 + 1.0, (-1, 2, 2))[:, 0])),
        lambda: functional(lambda x: residual_net()(tf.reshape(layers.Dense(108)(x), (-1, 6, 6, 3)))),
        lambda: functional(layers.Dense(3, activation=keras.activations.tanh, dtype='mixed_bfloat16')),
        lambda: functional(layers.Dropout(0.5, seed=2**31)),
        lambda: functional(lambda x: layers.MultiHeadAttention(2, 3)(*[layers.Reshape((2, 2))(x)] * 2)),
    ],
)
def test_ordinary_models_pass(make):
    architecture.check(config_of(make()))


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (
            lambda: functional(layers.Lambda(lambda x: x + 1)),
            'has a Lambda layer, which holds code; .* registered layer',
        ),
        (
            lambda: functional(tf.random.shuffle),
            "calls the TensorFlow function 'random.shuffle', which is not accepted",
        ),
        (
            lambda: keras.Sequential([keras.Input((4,), dtype=tf.string), layers.StringLookup(vocabulary=['a'])]),
            'has a StringLookup layer, which may load a vocabulary file',
        ),
        (lambda: functional(layers.Dense(3, activation=lambda x: x)), 'has a lambda as an activation'),
        (lambda: functional(lambda x: layers.LSTM(2, unroll=True)(layers.Reshape((2, 2))(x))), 'unroll'),
    ],
)
@pytest.mark.filterwarnings('ignore:The object being serialized includes a `lambda`')
def test_models_with_code_or_files_do_not(make, message):
    with pytest.raises(UnreadableError, match=message):
        architecture.check(config_of(make()))


def an_object(**changes) -> dict:
    sound = {'module': 'keras.layers', 'class_name': 'ReLU', 'config': {'name': 'r'}, 'registered_name': None}
    return {
        'module': 'keras',
        'class_name': 'Sequential',
        'registered_name': None,
        'config': {'name': 'net', 'layers': [{**sound, **changes}]},
    }


def test_the_sound_object_passes():
    architecture.check(an_object())


@pytest.mark.parametrize(
    'changes',
    [
        {'module': 'os', 'class_name': 'function', 'config': 'system'},
        {'module': 'builtins', 'class_name': 'function', 'config': 'eval', 'registered_name': 'eval'},
        {'module': 'subprocess', 'class_name': 'Popen'},
        {'module': 'subprocess', 'class_name': 'Popen', 'registered_name': 'Popen'},
        {'module': 'keras.utils', 'class_name': 'get_file'},
        {'module': 'keras.layers', 'class_name': 'deserialize'},
        {'module': 'keras.layers', 'class_name': 'TFSMLayer'},
        {'module': 'keras.layers', 'class_name': 'Layer.from_config'},
        {'module': 'keras.layers', 'class_name': 'function', 'config': 'relu'},
        {'module': 'keras.layers.experimental', 'class_name': 'ReLU'},
        {'module': None},
        {'module': 5},
        {'class_name': None},
        {'class_name': ['ReLU']},
        {'registered_name': 7},
        {'registered_name': 'Custom>Unknown'},
        {'config': {'activation': {'module': 'os', 'class_name': 'function', 'config': 'system'}}},
        {'config': {'deep': [[{'class_name': '__lambda__', 'config': {'value': 'code'}}]]}},
        {'config': {'value': {'class_name': '__numpy__', 'config': {'value': [1], 'dtype': 'S999999999'}}}},
        {'config': {'units': 2**24 + 1}},
        {'config': {'layers': {'a': 1}}},
        {'config': {'layers': [5]}},
        {'module': OPERATIONS, 'class_name': 'TFOpLambda', 'config': {'function': 'py_function'}},
        {'module': OPERATIONS, 'class_name': 'TFOpLambda', 'config': {'function': 5}},
        {'module': OPERATIONS, 'class_name': 'TFOpLambda', 'config': None},
        {'module': OPERATIONS, 'class_name': 'ClassMethod', 'config': {}},
    ],
    ids=str,
)
def test_everything_else_is_refused(changes):
    with pytest.raises(UnreadableError, match='architecture'):
        architecture.check(an_object(**changes))


@pytest.mark.parametrize(
    'config',
    [None, [], {}, {'class_name': 'Functional'}, {'module': [], 'class_name': {}}, an_object()['config']['layers'][0]],
)
def test_what_is_no_model_is_refused(config):
    with pytest.raises(UnreadableError, match='not that of a functional or sequential'):
        architecture.check(config)


def test_depth_does_no_harm():
    deep: list = []
    for _ in range(10**5):
        deep = [deep]
    with pytest.raises(UnreadableError, match='nested more than 200 deep'):
        architecture.check(an_object(config={'deep': deep}))
    with pytest.raises(UnreadableError, match='no JSON .nested too deep'):
        architecture.parsed(b'[' * 10**5)


def test_own_classes_are_those_of_other_modules():
    def entry(module, name, registered):
        return {'module': module, 'class_name': name, 'registered_name': registered, 'config': {}}

    known = [entry('keras.layers', name, None) for name in ('Dense', 'Lambda')] + [entry('mine', 'function', 'f')]
    own = [entry('mine', 'Scaled', 'Mine>Scaled'), entry('mine.more', 'Other', None)]
    config = {'class_name': 'Sequential', 'config': {'layers': [*known, {'config': {'layer': own[0]}}, own[1]]}}
    assert sorted(architecture.own_classes(config)) == [
        ('mine', 'Scaled', 'Mine>Scaled'),
        ('mine.more', 'Other', 'Other'),
    ]
