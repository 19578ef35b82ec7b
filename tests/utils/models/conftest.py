"""Saved models to be edited: the parts of a `.keras` file, and how to put edited parts back into one."""

from __future__ import annotations

import copy
import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.models import building
from pocketflow.utils.models.files import load_model
from tests.utils.models.fuzz import WRITER

layers = keras.layers
Parts = dict[str, bytes]
Config = dict[str, Any]


@pytest.fixture
def few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models with many calls are refused early."""
    monkeypatch.setattr(building, 'MAX_CALLS', 500)


@pytest.fixture(scope='session')
def keras3_folder(tmp_path_factory) -> Path:
    """What `keras3/write_networks.py` writes: files of Keras 3, made by a process of its own."""
    path = tmp_path_factory.mktemp('keras3')
    environment = {**os.environ, 'CUDA_VISIBLE_DEVICES': '', 'KERAS_HOME': str(path / 'home')}
    done = subprocess.run(
        [sys.executable, str(WRITER), str(path)], env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return path


@pytest.fixture(scope='session')
def parts(tmp_path_factory) -> Parts:
    """Those of the file of a small functional model of the layers `images`, `dense` and `relu`."""
    path = tmp_path_factory.mktemp('sound') / 'model.keras'
    inputs = keras.Input((4,), name='images')
    keras.Model(inputs, layers.ReLU(name='relu')(layers.Dense(4, name='dense')(inputs)), name='net').save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def config_of(parts: Parts) -> Config:
    return json.loads(parts['config.json'])


def by_name(config: Config) -> dict[str, Config]:
    """The layers of a configuration by their names."""
    return {layer['config']['name']: layer for layer in config['config']['layers']}


def edited(parts: Parts, change: Callable[[Config], Any]) -> Parts:
    config = copy.deepcopy(config_of(parts))
    change(config)
    return {**parts, 'config.json': json.dumps(config).encode()}


def zipped(path: Path, members: Parts | list[tuple[str, bytes]], packed: tuple[str, ...] = ()) -> Path:
    """Writes an archive; the members named in `packed` are compressed."""
    with zipfile.ZipFile(path, 'w') as archive:
        for name, content in members.items() if isinstance(members, dict) else members:
            kind = zipfile.ZIP_DEFLATED if name in packed else zipfile.ZIP_STORED
            archive.writestr(name, content, kind)
    return path


def with_weights(parts: Parts, change: Callable[[h5py.File], Any]) -> Parts:
    """The parts with other things in the file of weights."""
    content = io.BytesIO(parts['model.weights.h5'])
    with h5py.File(content, 'r+') as file:
        change(file)
    return {**parts, 'model.weights.h5': content.getvalue()}


def whole_hdf5(path: Path, config: Any, change: Callable[[h5py.File], Any] = lambda file: None) -> Path:
    """A file of an older release: the architecture as an attribute, and the weights of one dense layer."""
    with h5py.File(path, 'w') as file:
        file.attrs['model_config'] = config if isinstance(config, str) else json.dumps(config)
        file.attrs['keras_version'] = '2.11.0'
        weights = file.create_group('model_weights')
        weights.attrs['layer_names'] = [b'dense']
        dense = weights.create_group('dense')
        dense.attrs['weight_names'] = [b'dense/kernel:0', b'dense/bias:0']
        dense['dense/kernel:0'], dense['dense/bias:0'] = np.ones((4, 4), np.float32), np.ones(4, np.float32)
        change(file)
    return path


def legacy(config: Any) -> Any:
    """A configuration as older releases wrote it: classes without their modules."""
    if isinstance(config, list):
        return [legacy(item) for item in config]
    if not isinstance(config, dict):
        return config
    return {
        key: legacy(value)
        for key, value in config.items()
        if key not in ('module', 'registered_name', 'build_config', 'compile_config')
    }


def refused(folder: Path, write: Callable[[Path, str], Path], message: str, name: str = 'model.keras') -> None:
    """Writes a file, and checks that reading it gives one line soon, and that nothing else is there afterwards."""
    marker = folder / 'marker'
    path = write(folder / name, str(marker))
    found, start = sorted(folder.iterdir()), time.perf_counter()
    with pytest.raises(UsageError, match=message) as error:
        load_model(path)
    text = str(error.value)
    assert text.startswith(f'{path}: cannot be read as a Keras model') and '\n' not in text
    assert len(text) < len(str(path)) + 400
    assert time.perf_counter() - start < 30
    assert sorted(folder.iterdir()) == found and not marker.exists()
