from __future__ import annotations

import inspect

import pytest
import tensorflow as tf
import tf_keras as keras
from tensorflow.python.util.tf_export import get_symbol_from_name

from pocketflow.utils.models import allow_list


def test_all_names_exist():
    assert all(inspect.isclass(getattr(keras.layers, name)) for name in allow_list.LAYERS)
    for module in ('initializers', 'regularizers', 'constraints'):
        assert all(hasattr(getattr(keras, module), name) for name in allow_list.CLASSES[f'keras.{module}'])
    assert all(callable(keras.activations.get(name)) for name in allow_list.ACTIVATIONS)


def test_functions_are_functions_of_tensorflow():
    missing = {
        name
        for name in allow_list.FUNCTIONS
        if not any(get_symbol_from_name(prefix + name) for prefix in ('', 'compat.v1.'))
    }
    assert missing <= {f'keras.activations.{name}' for name in allow_list.ACTIVATIONS} | allow_list._MATHS
    classes = {name for name in allow_list.FUNCTIONS if inspect.isclass(get_symbol_from_name(name))}
    assert not classes


@pytest.mark.parametrize(
    'name',
    [
        'io.write_file',
        'io.read_file',
        'raw_ops.WriteFile',
        'py_function',
        'numpy_function',
        'load_op_library',
        'print',
        'eye',
        'linalg.eye',
        'fill',
        'range',
        'linspace',
        'zeros',
        'ones',
        'constant',
        'random.normal',
        'map_fn',
        'while_loop',
        'cond',
        'function',
        'nn.fixed_unigram_candidate_sampler',
        'nn.RNNCellDropoutWrapper',
        'keras.models.load_model',
        'keras.utils.get_file',
        'os.system',
        'compat.v1.py_func',
        'compat.v1.compat.v1.abs',
        'image.decode_jpeg',
        'saved_model.load',
        'data.Dataset',
        '__internal__.saved_model.load_internal',
        '',
        None,
        5,
    ],
)
def test_what_does_more_than_compute_is_not_among_them(name):
    assert not allow_list.is_function(name)


def test_public_layers_that_are_not_listed_are_known_ones():
    """A new release may bring layers; each is to be looked at."""
    public = {
        layer.__name__
        for layer in vars(keras.layers).values()
        if inspect.isclass(layer) and issubclass(layer, keras.layers.Layer)
    }
    assert public - allow_list.LAYERS == {
        'AbstractRNNCell',
        'DenseFeatures',
        'IntegerLookup',
        'Lambda',
        'Layer',
        'LocallyConnected1D',
        'LocallyConnected2D',
        'StringLookup',
        'TextVectorization',
        'Wrapper',
    }


@keras.saving.register_keras_serializable(package='AllowListTest')
class Own(keras.layers.Layer):
    """A layer as a user's --model_helper file registers one."""


@keras.saving.register_keras_serializable(package='AllowListTest')
def own_activation(values: tf.Tensor) -> tf.Tensor:
    return values * 2


@keras.saving.register_keras_serializable(package='AllowListTest')
class NoLayer:
    """Something else that is registered."""

    def get_config(self) -> dict:
        return {}


def test_own_classes_are_known_once_they_are_registered():
    assert allow_list.is_class('any', 'Own', 'AllowListTest>Own')
    assert allow_list.is_class(None, 'AllowListTest>Own', None)
    assert allow_list.is_activation('AllowListTest>own_activation')
    assert allow_list.is_class('any', 'ChannelSelect', 'PocketFlow>ChannelSelect')
    assert not allow_list.is_class('any', 'Other', 'AllowListTest>Other')
    assert not allow_list.is_class('any', 'NoLayer', 'AllowListTest>NoLayer')
    assert not allow_list.is_class('tests', 'Own', None)
