"""Tiny networks that trigger the checks of the linter, and one that triggers none, as real files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.lint.graph import FileGraph, read_graph

layers = keras.layers


def clean_net() -> keras.Model:
    """A convolution with bias and ReLU6, global average pooling, a dense layer."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 8, 3))
    features = layers.Conv2D(4, 3, activation='relu6', bias_initializer='ones')(inputs)
    return keras.Model(
        inputs, layers.Dense(3, bias_initializer='ones')(layers.GlobalAveragePooling2D()(features)), name='clean'
    )


def sequence_net() -> keras.Model:
    """A 1D convolution without bias, six-fold concatenation, layer norm, GELU, a mean over time."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((12, 4))
    features = layers.Conv1D(4, 3, padding='same', use_bias=False)(inputs)
    parts = [
        layers.Activation(function)(features) for function in ('relu', 'tanh', 'sigmoid', 'elu', 'softplus', 'gelu')
    ]
    features = layers.LayerNormalization(name='norm')(layers.Concatenate(name='concat')(parts))
    logits = layers.Dense(3, name='logits')(layers.GlobalAveragePooling1D(name='mean')(features))
    return keras.Model(inputs, logits, name='sequence')


def deep_net() -> keras.Model:
    """Tensors of five axes."""
    inputs = keras.Input((4, 4, 6))
    halves = tf.transpose(layers.Reshape((4, 4, 2, 3))(inputs), [0, 1, 2, 4, 3])
    return keras.Model(inputs, layers.Flatten()(halves), name='deep')


def island_net() -> keras.Model:
    """A sine, for which there is no int8 kernel, between two matrix products."""
    inputs = keras.Input((6,))
    features = tf.sin(layers.Dense(4, bias_initializer='ones')(inputs))
    return keras.Model(inputs, layers.Dense(3, bias_initializer='ones')(features), name='island')


def dense_net() -> keras.Model:
    """A matrix large enough (1024 weights) for the converter to quantize it dynamically."""
    inputs = keras.Input((32,))
    return keras.Model(inputs, layers.Dense(32, bias_initializer='ones')(inputs), name='dense')


NETS = {'clean': clean_net, 'dense': dense_net, 'island': island_net, 'sequence': sequence_net, 'deep': deep_net}
FILES = (
    ('clean', 'float32'),
    ('clean', 'int8'),
    ('dense', 'dynamic'),
    ('island', 'int8'),
    ('sequence', 'float32'),
    ('deep', 'float32'),
)


def file_of_open_shape() -> bytes:
    """A file with an open batch axis; those of the export have a batch of one."""
    function = tf.function(lambda images: tf.nn.relu(images) * 2.0)
    concrete = function.get_concrete_function(tf.TensorSpec((None, 8)))
    content: bytes = tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()
    return content


@pytest.fixture(scope='session')
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """(network, format) -> file."""
    folder, paths = tmp_path_factory.mktemp('lint'), {}
    for name, file_format in FILES:
        model = NETS[name]()
        images = np.random.default_rng(0).normal(size=(4, *model.input_shape[1:])).astype(np.float32)
        paths[name, file_format] = folder / f'{name}_{file_format}.tflite'
        paths[name, file_format].write_bytes(convert(model, file_format, images))
    paths['open', 'float32'] = folder / 'open_float32.tflite'
    paths['open', 'float32'].write_bytes(file_of_open_shape())
    return paths


@pytest.fixture(scope='session')
def graphs(files: dict[tuple[str, str], Path]) -> dict[tuple[str, str], FileGraph]:
    return {key: read_graph(path.read_bytes()) for key, path in files.items()}
