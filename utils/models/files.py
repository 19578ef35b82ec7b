"""Models to files and back: the one place where the program reads a saved Keras model, whoever wrote it.

The architecture is read as data, checked, and only then given to Keras. Nothing that a file holds is executed.
"""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import tf_keras as keras
from tf_keras.src.saving.serialization_lib import ObjectSharingScope

import pocketflow.utils.channels  # registers ChannelSelect
import pocketflow.utils.quantization.layers  # noqa: F401  registers the layers that simulate quantization
from pocketflow.utils.errors import UsageError, first_line
from pocketflow.utils.models import architecture, archive, hdf5, kinds
from pocketflow.utils.models.building import build, with_ordered_layers
from pocketflow.utils.models.errors import UnreadableError
from pocketflow.utils.quantization.int8 import register_classes_in
from pocketflow.utils.system import atomic

FREE_VALUES = 2**20
"""Numbers that a model may hold besides those in its file: layers may keep some that are not saved."""

_HDF5_SUFFIXES = ('.h5', '.hdf5', '.keras')


def save_model(model: keras.Model, path: Path) -> None:
    """Writes a `.keras` file, whole or not at all."""
    with atomic.replacing(path) as temporary:
        model.save(temporary, save_format='keras')


def load_model(path: Path | str) -> keras.Model:
    """Reads a model, not compiled: a `.keras` file of Keras 2, or an HDF5 file with a whole model.

    Raises:
      UsageError: the file holds no model, or one that names anything but known layers and functions; one line says
        what it is and what to do.
    """
    try:
        kind = kinds.kind_of(path)
        if kind == kinds.ZIP:
            return _from_archive(path)
        if kind == kinds.HDF5:
            return _from_hdf5(path)
        raise UnreadableError(kinds.other_kind(path))
    except UnreadableError as error:
        raise UsageError(f'{path}: cannot be read as a Keras model: {error}') from error
    except OSError as error:
        raise UsageError(f'{path}: cannot be read as a Keras model: {error.strerror or first_line(error)}') from error
    except Exception as error:  # whatever Keras, HDF5 and zip make of damage
        raise UsageError(
            f'{path}: cannot be read as a Keras model ({type(error).__name__}: {first_line(error)}); give '
            'a .keras file that this version of tf_keras has written'
        ) from error


def _from_archive(path: Path | str) -> keras.Model:
    if Path(path).suffix != '.keras':
        raise UnreadableError('it is a zip archive; give it a name that ends in .keras if it is a Keras model')
    config, text = archive.read_config(path)
    register_classes_in(text)
    config = architecture.without(config, ('compile_config',))
    architecture.check(config, allow_unrolled=True)
    num_values = archive.num_values(path) + FREE_VALUES
    ordered = with_ordered_layers(config)
    with ObjectSharingScope():
        model = build(lambda: keras.saving.deserialize_keras_object(ordered, safe_mode=True), num_values)
    model.load_weights(path)
    return model


def _from_hdf5(path: Path | str) -> keras.Model:
    if Path(path).suffix not in _HDF5_SUFFIXES:
        raise UnreadableError('it is an HDF5 file; give it a name that ends in .h5')
    with h5py.File(path, 'r') as file:
        num_values = hdf5.num_values(file, os.path.getsize(path)) + FREE_VALUES
        config = hdf5.read_config(file)
    architecture.check(config, allow_unrolled=True)
    ordered = with_ordered_layers(config)
    model = build(lambda: keras.models.model_from_config(ordered), num_values)
    model.load_weights(path)
    return model
