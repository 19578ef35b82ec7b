"""SavedModel folders: those of Keras 2 are read without any of their functions; others are named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from tf_keras.protobuf import saved_metadata_pb2

from pocketflow.utils.errors import UsageError
from pocketflow.utils.models.files import load_model

layers = keras.layers


def network() -> keras.Model:
    """A nested network with two layers of the same shape, a normalization and an operator."""
    keras.utils.set_random_seed(0)
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, activation='relu'), layers.BatchNormalization()])
    inputs, normalization = keras.Input((4,), name='images'), layers.Normalization()
    normalization.adapt(np.random.default_rng(0).normal(2, 3, (50, 4)))
    x = layers.Dense(4, name='dense_a')(normalization(inputs))
    model = keras.Model(inputs, layers.Dense(4, name='dense_b')(inner(x) * 2.0), name='net')
    for weight in model.trainable_weights + inner.non_trainable_weights:
        weight.assign_add(tf.random.uniform(weight.shape))
    return model


@pytest.fixture(scope='module')
def saved(tmp_path_factory) -> tuple[keras.Model, Path]:
    model, path = network(), tmp_path_factory.mktemp('saved') / 'net'
    model.compile('adam', 'mse')
    model.fit(np.ones((2, 4)), np.ones((2, 4)), verbose=0)
    model.save(path, save_format='tf')
    return model, path


def test_it_comes_back_without_its_graph(saved, tmp_path):
    model, path = saved
    samples = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_allclose(load_model(path)(samples), model(samples), atol=1e-6)
    copy = shutil.copytree(path, tmp_path / 'copy')
    (copy / 'saved_model.pb').write_bytes(b'')
    np.testing.assert_allclose(load_model(copy)(samples), model(samples), atol=1e-6)


def test_a_folder_of_a_release_before_2_5(saved, tmp_path):
    """It has the record in the graph's file."""
    model, path = saved
    copy = shutil.copytree(path, tmp_path / 'copy')
    record = saved_metadata_pb2.SavedMetadata.FromString((copy / 'keras_metadata.pb').read_bytes())
    from tensorflow.core.protobuf import saved_model_pb2

    graph = saved_model_pb2.SavedModel.FromString((copy / 'saved_model.pb').read_bytes())
    root = graph.meta_graphs[0].object_graph_def.nodes[0].user_object
    root.identifier, root.metadata = record.nodes[0].identifier, record.nodes[0].metadata
    (copy / 'saved_model.pb').write_bytes(graph.SerializeToString())
    (copy / 'keras_metadata.pb').unlink()
    samples = np.ones((2, 4), np.float32)
    np.testing.assert_allclose(load_model(copy)(samples), model(samples), atol=1e-6)


def edited(path: Path, change: Callable[[dict], Any]) -> Path:
    """Changes what Keras has noted of the outermost object."""
    file = path / 'keras_metadata.pb'
    record = saved_metadata_pb2.SavedMetadata.FromString(file.read_bytes())
    metadata = json.loads(record.nodes[0].metadata)
    change(metadata)
    record.nodes[0].metadata = json.dumps(metadata)
    file.write_bytes(record.SerializeToString())
    return path


def by_name(metadata: dict, name: str) -> dict:
    return next(layer for layer in metadata['config']['layers'] if layer['config']['name'] == name)


def a_lambda(metadata: dict) -> None:
    by_name(metadata, 'dense_b').update(
        class_name='Lambda', config={'name': 'dense_b', 'function': ['4wAA', None, None]}
    )


def a_file_writer(metadata: dict) -> None:
    operator = next(layer for layer in metadata['config']['layers'] if layer['class_name'] == 'TFOpLambda')
    operator['config']['function'] = 'io.write_file'


def as_subclassed(path: Path) -> None:
    file = path / 'keras_metadata.pb'
    record = saved_metadata_pb2.SavedMetadata.FromString(file.read_bytes())
    record.nodes[0].identifier = '_tf_keras_model'
    file.write_bytes(record.SerializeToString())


HOSTILE: dict[str, tuple[Callable[[Path], Any], str]] = {
    'lambda': (lambda path: edited(path, a_lambda), 'has a Lambda layer, which holds code'),
    'write_file': (lambda path: edited(path, a_file_writer), "function 'io.write_file', which is not accepted"),
    'own class': (
        lambda path: edited(path, lambda data: by_name(data, 'dense_b').update(class_name='Mine')),
        "needs 'Mine', which is no layer of Keras",
    ),
    'huge': (
        lambda path: edited(path, lambda data: by_name(data, 'dense_b')['config'].update(units=2**23)),
        'its layers need more than the',
    ),
    'other shapes': (
        lambda path: edited(path, lambda data: by_name(data, 'dense_b')['config'].update(use_bias=False)),
        'it holds 13 weights, and its architecture has 12',
    ),
    'subclassed': (as_subclassed, 'it is a SavedModel of a subclassed model'),
    'graph only': (lambda path: (path / 'keras_metadata.pb').unlink(), 'holds only a compiled graph, as model.export'),
    'no record': (lambda path: (path / 'keras_metadata.pb').write_bytes(b''), 'holds only a compiled graph'),
    'damaged record': (
        lambda path: (path / 'keras_metadata.pb').write_bytes(b'\xff' * 50),
        'record of the architecture is damaged',
    ),
    'no weights': (lambda path: shutil.rmtree(path / 'variables'), 'without its folder "variables"'),
    'cut index': (
        lambda path: (path / 'variables' / 'variables.index').write_bytes(b'\0' * 100),
        'whose weights are damaged',
    ),
    'cut weights': (
        lambda path: next((path / 'variables').glob('*.data*')).write_bytes(b'x'),
        r'its arrays have \d+ bytes, the files only \d+',
    ),
}


@pytest.mark.parametrize('kind', HOSTILE)
def test_a_folder_is_refused(saved, tmp_path, kind):
    change, message = HOSTILE[kind]
    path = shutil.copytree(saved[1], tmp_path / 'copy')
    change(path)
    with pytest.raises(UsageError, match=message) as error:
        load_model(path)
    assert '\n' not in str(error.value) and str(error.value).startswith(f'{path}: cannot be read as a Keras model')
