"""Code in model files: never run by itself, and run as Keras does where the user trusts the files."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from absl import logging

from pocketflow.utils.container import load_container, save_container
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.models import trust
from pocketflow.utils.models.files import load_model, save_model

layers = keras.layers
IMAGES = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype(np.float32)
OWN = """
import pathlib

import tf_keras as keras

pathlib.Path(__file__).with_suffix('.imported').touch()


class Shifted(keras.layers.Layer):
    def call(self, inputs):
        return inputs + 1
"""


def network(*more: layers.Layer) -> keras.Model:
    return keras.Sequential([layers.Input((4, 4, 3)), layers.Conv2D(2, 1), *more])


@pytest.fixture
def warnings(monkeypatch):
    found = []
    monkeypatch.setattr(logging, 'warning', lambda text, *values: found.append(text % values))
    return found


@pytest.mark.parametrize('name', ['net.keras', 'net.h5', 'folder'])
@pytest.mark.filterwarnings('ignore:You are saving your model as an HDF5 file')
def test_a_lambda_runs_in_a_trusted_file_only(name, tmp_path, warnings):
    model, path = network(layers.Lambda(lambda x: tf.abs(x) * 2, name='mine')), tmp_path / name
    model.save(path, save_format={'net.keras': 'keras', 'net.h5': 'h5', 'folder': 'tf'}[name])
    found = 'its architecture has a Lambda layer, which holds code'
    refusal = f'{name}: cannot be read as a Keras model: {found}.*; or, if'
    with pytest.raises(UsageError, match=f'{refusal} you trust who made the file, give --trust_model'):
        load_model(path)
    with trust.trusting():
        np.testing.assert_array_equal(load_model(path)(IMAGES), model(IMAGES))
        load_model(path)
        assert trust.has_run_code()
    assert warnings == [f'{path}: code in this file is run, because of --trust_model: {found}']
    with trust.trusting(False), pytest.raises(UsageError, match=refusal):
        load_model(path)


def test_files_without_code_are_read_as_ever(tmp_path, warnings):
    save_model(network(), tmp_path / 'net.keras')
    with trust.trusting():
        load_model(tmp_path / 'net.keras')
        assert not trust.has_run_code() and not warnings
        (tmp_path / 'bad.keras').write_bytes(b'text')
        with pytest.raises(UsageError, match='it is a text file'):
            load_model(tmp_path / 'bad.keras')


def test_a_module_that_a_file_names_is_imported_in_a_trusted_file_only(tmp_path, monkeypatch, warnings):
    (tmp_path / 'pf_own_layers.py').write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    own = importlib.import_module('pf_own_layers')
    model = network(own.Shifted(name='mine'))
    save_model(model, tmp_path / 'net.keras')
    (tmp_path / 'pf_own_layers.imported').unlink()
    monkeypatch.delitem(sys.modules, 'pf_own_layers')
    with pytest.raises(UsageError, match="needs 'Shifted' of 'pf_own_layers', which is no layer of Keras .*--trust"):
        load_model(tmp_path / 'net.keras')
    assert not (tmp_path / 'pf_own_layers.imported').exists()
    with trust.trusting():
        np.testing.assert_array_equal(load_model(tmp_path / 'net.keras')(IMAGES), model(IMAGES))
    assert (tmp_path / 'pf_own_layers.imported').exists() and len(warnings) == 1
    monkeypatch.delitem(sys.modules, 'pf_own_layers')
    (tmp_path / 'pf_own_layers.py').unlink()
    importlib.invalidate_caches()
    with trust.trusting(), pytest.raises(UsageError, match='its code cannot be run .*add the folder of .* PYTHONPATH'):
        load_model(tmp_path / 'net.keras')


def test_containers_hold_code_only_where_files_are_trusted(tmp_path, warnings):
    model, path = network(layers.Lambda(lambda x: x * 2)), tmp_path / 'net.pfz'
    with pytest.raises(PocketFlowError, match='cannot be packed: its architecture has a Lambda layer'):
        save_container(model, None, path)
    with trust.trusting():
        save_container(model, None, path)
        assert not warnings
        np.testing.assert_array_equal(load_container(path).model(IMAGES), model(IMAGES))
        assert len(warnings) == 1
    with pytest.raises(PocketFlowError, match='its architecture has a Lambda layer, which holds code'):
        load_container(path)
