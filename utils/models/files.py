"""Saves and loads models: the only place where the program reads saved Keras models, from trusted or untrusted files.

The architecture is read as data, checked, and only then passed to Keras. No code from a file is executed, except of
trusted files (`pocketflow.utils.models.trust`).
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import tf_keras as keras
from tf_keras.src.saving.serialization_lib import ObjectSharingScope

import pocketflow.utils.channels  # registers ChannelSelect
import pocketflow.utils.quantization.layers  # noqa: F401  registers the layers that simulate quantization
from pocketflow.utils.errors import UsageError, first_line
from pocketflow.utils.models import architecture, archive, hdf5, kinds, saved_model, weights_only
from pocketflow.utils.models.building import FREE_VALUES, UNREGISTERED, build, with_ordered_layers
from pocketflow.utils.models.errors import CodeError, UnreadableError
from pocketflow.utils.models.keras3 import files as keras3
from pocketflow.utils.models.keras3.config import is_keras3
from pocketflow.utils.models.trust import accepts
from pocketflow.utils.quantization.int8 import register_classes_in
from pocketflow.utils.system import atomic

_HDF5_SUFFIXES = ('.h5', '.hdf5', '.keras')


def save_model(model: keras.Model, path: Path) -> None:
    """Writes a `.keras` file atomically."""
    with atomic.replacing(path) as temporary:
        model.save(temporary, save_format='keras')


def load_model(path: Path | str) -> keras.Model:
    """Reads an uncompiled model: a `.keras` file or an HDF5 file with a complete model, of Keras 2 or 3, or a
    SavedModel folder of Keras 2.

    Raises:
      UsageError: the file holds no model, or names a layer or function that is not accepted; the message gives the
        reason and a remedy.
    """
    with _as_usage_error(path, 'cannot be read as a Keras model', 'give a .keras file that Keras has written'):
        kind = kinds.kind_of(path)
        if kind == kinds.ZIP:
            return _from_archive(path)
        if kind == kinds.HDF5:
            return _from_hdf5(path)
        if kind == kinds.SAVED_MODEL:
            return saved_model.load(path)
        raise UnreadableError(kinds.other_kind(path))


def load_weights(model: keras.Model, path: Path | str) -> None:
    """Sets a model's weights from a file that holds only weights (see `weights_only.is_weights_only`).

    Raises:
      UsageError: the weights do not fit the model; the message names the first layer that differs.
    """
    remedy = 'give a .weights.h5 file that Keras has written'
    with _as_usage_error(path, f'its weights cannot be read into the network {model.name!r}', remedy):
        weights_only.fill(model, path)


@contextlib.contextmanager
def _as_usage_error(path: Path | str, what: str, remedy: str) -> Iterator[None]:
    """Converts all exceptions in the block into a `UsageError` of one line."""
    try:
        yield
    except CodeError as error:
        raise UsageError(
            f'{path}: {what}: {error}; or, if you trust who made the file, give --trust_model, which runs its code'
        ) from error
    except UnreadableError as error:
        raise UsageError(f'{path}: {what}: {error}') from error
    except OSError as error:
        raise UsageError(f'{path}: {what}: {error.strerror or first_line(error)}') from error
    except Exception as error:  # Keras, HDF5 and zip raise various types for damaged files
        raise UsageError(f'{path}: {what} ({type(error).__name__}: {first_line(error)}); {remedy}') from error


def _from_archive(path: Path | str) -> keras.Model:
    if Path(path).suffix != '.keras':
        raise UnreadableError('it is a zip archive; give it a name that ends in .keras if it is a Keras model')
    config, text, version = archive.read_config(path)
    if is_keras3(version, config):
        with archive.weights(path) as (file, num_values):
            return keras3.from_place(config, file, num_values)
    register_classes_in(text)
    config = architecture.without(config, ('compile_config',))
    if not accepts(config, path):
        return _with_its_code(path, config)
    with archive.weights(path) as (_, num_values):
        pass
    ordered = with_ordered_layers(config)
    with ObjectSharingScope():
        model = build(lambda: keras.saving.deserialize_keras_object(ordered, safe_mode=True), num_values + FREE_VALUES)
    model.load_weights(path)
    return model


def _from_hdf5(path: Path | str) -> keras.Model:
    if Path(path).suffix not in _HDF5_SUFFIXES:
        raise UnreadableError('it is an HDF5 file; give it a name that ends in .h5')
    with h5py.File(path, 'r') as file:
        num_values = hdf5.num_values(file, os.path.getsize(path))
        config, version = hdf5.read_config(file)
        if is_keras3(version, config):
            return keras3.from_names(config, hdf5.model_weights(file), num_values)
    if not accepts(config, path):
        return _with_its_code(path, config)
    ordered = with_ordered_layers(config)
    model = build(lambda: keras.models.model_from_config(ordered), num_values + FREE_VALUES)
    model.load_weights(path)
    return model


def _with_its_code(path: Path | str, config: Any) -> keras.Model:
    """Reads a trusted file as Keras does: lambdas are run, and modules that it names are imported."""
    try:
        # Keras itself finds the classes in functional models only, not in sequential ones.
        own = {
            registered: getattr(importlib.import_module(module), name)
            for module, name, registered in architecture.own_classes(config)
        }
        with keras.saving.custom_object_scope({**UNREGISTERED, **own}):
            return keras.models.load_model(path, compile=False, safe_mode=False)
    except Exception as error:  # of Keras, or of the code in the file
        raise UnreadableError(
            f'its code cannot be run ({type(error).__name__}: {first_line(error)[:200]}); if it has classes of your '
            'own, add the folder of their module to PYTHONPATH, or register them in your --model_helper file'
        ) from error
