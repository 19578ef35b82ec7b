"""Files of other kinds that are no models: each is named in one line."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from pocketflow.utils.errors import UsageError
from pocketflow.utils.models.files import load_model
from tests.utils.models.conftest import refused, whole_hdf5, zipped


class Touch:
    """Makes the marker when it is unpickled."""

    def __init__(self, marker: str):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (Path(self.marker),)


OTHERS: dict[str, tuple[str, Callable[[Path, str], bytes], str]] = {
    'pickle': ('m.keras', lambda path, marker: pickle.dumps(Touch(marker)), 'it is a Python pickle, which may'),
    'pickle of Keras 1': ('m.h5', lambda path, marker: pickle.dumps(Touch(marker), 2), 'it is a Python pickle'),
    'text': ('m.keras', lambda path, marker: 'tèxt'.encode(), 'it is a text file; save the model by model.save'),
    'architecture': ('m.json', lambda path, marker: b'{"class_name": "Sequential"}', 'architecture .* without its'),
    'empty': ('m.keras', lambda path, marker: b'', 'it is empty'),
    'TensorFlow Lite': ('m.tflite', lambda path, marker: b'\x1c\0\0\0TFL3' + bytes(30), 'it is a TensorFlow Lite file'),
    'gzip': ('m.keras', lambda path, marker: b'\x1f\x8b' + bytes(30), 'it is packed by gzip'),
    'array': ('m.npy', lambda path, marker: b'\x93NUMPY' + bytes(30), 'it is a NumPy array'),
    'container': ('m.keras', lambda path, marker: b'PFZ\x1a' + bytes(60), 'it is a packed container; give it a name'),
    'noise': ('m.keras', lambda path, marker: b'\xff\xfe\0\1' * 9, 'its file type is not known'),
}


@pytest.mark.parametrize('kind', OTHERS)
def test_other_files_are_named(tmp_path, kind):
    name, content, message = OTHERS[kind]
    refused(tmp_path, lambda path, marker: (path.write_bytes(content(path, marker)), path)[1], message, name)


def test_other_models_are_named(tmp_path, parts):
    (tmp_path / 'saved' / 'variables').mkdir(parents=True)
    (tmp_path / 'saved' / 'saved_model.pb').write_bytes(b'x')
    for path, message in (
        (tmp_path / 'saved', 'it is a SavedModel whose record of the architecture is damaged'),
        (tmp_path, 'it is a folder without a model.keras'),
        (tmp_path / 'missing.keras', 'No such file or directory'),
        (zipped(tmp_path / 'model.zip', parts), 'it is a zip archive; give it a name that ends in .keras'),
        (
            whole_hdf5(tmp_path / 'w.h5', '', lambda file: file.attrs.__delitem__('model_config')),
            'it holds weights without an architecture',
        ),
        (
            whole_hdf5(tmp_path / '3.h5', '{}', lambda file: file.attrs.update(keras_version='3.1.0')),
            'not that of a functional or sequential Keras model',
        ),
        (whole_hdf5(tmp_path / 'list.h5', '[]'), 'not that of a functional or sequential'),
        (whole_hdf5(tmp_path / 'model.bin', '{}'), 'it is an HDF5 file; give it a name that ends in .h5'),
    ):
        with pytest.raises(UsageError, match=message) as error:
            load_model(path)
        assert '\n' not in str(error.value)
