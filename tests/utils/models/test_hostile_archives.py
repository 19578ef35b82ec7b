"""Archives, HDF5 files and files of other kinds that are no models, or hold more than one: one line each."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pocketflow.utils.errors import UsageError
from pocketflow.utils.models.files import load_model
from tests.utils.models.conftest import Parts, config_of, legacy, refused, whole_hdf5, with_weights, zipped


class Touch:
    """Makes the marker when it is unpickled."""

    def __init__(self, marker: str):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (Path(self.marker),)


def with_npz(parts: Parts, marker: str) -> Parts:
    content = io.BytesIO()
    np.savez(content, array=np.array([Touch(marker)], dtype=object))
    return {name: text for name, text in parts.items() if name != 'model.weights.h5'} | {
        'model.weights.npz': content.getvalue()
    }


def encrypted(path: Path, parts: Parts) -> Path:
    """Sets the bit of the first member's header in the directory at the end."""
    content = bytearray(zipped(path, {'config.json': parts['config.json'], **parts}).read_bytes())
    content[content.index(b'PK\x01\x02') + 8] |= 1
    path.write_bytes(content)
    return path


ARCHIVES: dict[str, tuple[Callable[[Path, str, Parts], Path], str]] = {
    'outside': (lambda path, marker, parts: zipped(path, {**parts, '../marker': b'x'}), r"a part named '\.\./marker'"),
    'outside the assets': (
        lambda path, marker, parts: zipped(path, {**parts, 'assets/../../marker': b'x'}),
        'a part named .assets/',
    ),
    'absolute': (lambda path, marker, parts: zipped(path, {**parts, marker: b'x'}), "a part named '/.*marker'"),
    'other part': (lambda path, marker, parts: zipped(path, {**parts, 'setup.py': b'x'}), "a part named 'setup.py'"),
    'twice': (lambda path, marker, parts: zipped(path, [*parts.items(), ('config.json', b'{}')]), 'have the same name'),
    'bomb of text': (
        lambda path, marker, parts: zipped(path, {**parts, 'config.json': bytes(2**25)}, ('config.json',)),
        'part config.json has 33554432 bytes; at most 16777216',
    ),
    'bomb of weights': (
        lambda path, marker, parts: zipped(path, {**parts, 'model.weights.h5': bytes(2**25)}, ('model.weights.h5',)),
        'model.weights.h5 is compressed',
    ),
    'encrypted': (lambda path, marker, parts: encrypted(path, parts), 'is encrypted'),
    'pickled weights': (lambda path, marker, parts: zipped(path, with_npz(parts, marker)), "named 'model.weights.npz'"),
    'no weights': (lambda path, marker, parts: zipped(path, {'config.json': parts['config.json']}), 'has no model.w'),
    'no architecture': (lambda path, marker, parts: zipped(path, {'a.txt': b'x'}), 'a zip archive without config.json'),
    'PyTorch': (
        lambda path, marker, parts: zipped(path, {'net/data.pkl': pickle.dumps(Touch(marker))}),
        'it is a PyTorch file',
    ),
    'Keras 3': (
        lambda path, marker, parts: zipped(path, {**parts, 'metadata.json': b'{"keras_version": "3.9.2"}'}),
        'not that of a functional or sequential Keras model',
    ),
    'no JSON': (lambda path, marker, parts: zipped(path, {**parts, 'config.json': b'{"class_name": '}), 'is no JSON'),
    'nested JSON': (lambda path, marker, parts: zipped(path, {**parts, 'config.json': b'[' * 10**6}), 'too deep'),
    'long number': (lambda path, marker, parts: zipped(path, {**parts, 'config.json': b'9' * 10**5}), 'is no JSON'),
    'list': (lambda path, marker, parts: zipped(path, {**parts, 'config.json': b'[]'}), 'not that of a functional or'),
    'cut': (lambda path, marker, parts: (path.write_bytes(zipped(path, parts).read_bytes()[:3000]), path)[1], 'BadZip'),
}


@pytest.mark.parametrize('kind', ARCHIVES)
@pytest.mark.filterwarnings('ignore:Duplicate name')
def test_an_archive_is_refused(tmp_path, parts, kind):
    write, message = ARCHIVES[kind]
    refused(tmp_path, lambda path, marker: write(path, marker, parts), message)


def external(file: h5py.File, marker: str) -> None:
    file.create_dataset('x', (4,), 'f4', external=[('/etc/passwd', 0, 16)])


def virtual(file: h5py.File, marker: str) -> None:
    layout = h5py.VirtualLayout((4,), 'f4')
    layout[:] = h5py.VirtualSource('/etc/passwd', 'x', (4,))
    file.create_virtual_dataset('x', layout)


WEIGHTS: dict[str, tuple[Callable[[h5py.File, str], Any], str]] = {
    'external link': (lambda file, marker: file.update(x=h5py.ExternalLink('/etc/passwd', '/x')), "'x' in it points"),
    'soft link': (lambda file, marker: file.update(x=h5py.SoftLink('/a')), "'x' in it points elsewhere"),
    'external storage': (external, "array 'x' lies in another file"),
    'virtual': (virtual, "array 'x' lies in another file"),
    'texts': (lambda file, marker: file.update(x=['text']), "array 'x' is not one of numbers"),
    'bomb': (
        lambda file, marker: file.create_dataset('x', (2**34,), 'f4', chunks=(2**20,), compression='gzip'),
        r'its arrays have \d+ bytes and more, the file only \d+',
    ),
    'large chunk': (
        lambda file, marker: file.create_dataset('x', (1,), 'f4', maxshape=(None,), chunks=(2**26,)),
        r'its arrays have \d+ bytes and more',
    ),
    'ring': (lambda file, marker: file.create_group('a').update(a=file['a']), "group 'a' in it has two places"),
}


@pytest.mark.parametrize('kind', WEIGHTS)
def test_weights_are_refused(tmp_path, parts, kind):
    change, message = WEIGHTS[kind]
    refused(
        tmp_path, lambda path, marker: zipped(path, with_weights(parts, lambda file: change(file, marker))), message
    )


@pytest.mark.parametrize('kind', ['external link', 'external storage', 'bomb'])
def test_weights_of_an_older_release_are_refused(tmp_path, parts, kind):
    change, message = WEIGHTS[kind]
    refused(
        tmp_path,
        lambda path, marker: whole_hdf5(path, legacy(config_of(parts)), lambda file: change(file, marker)),
        message,
        name='model.h5',
    )


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
    'noise': ('m.keras', lambda path, marker: b'\xff\xfe\0\1' * 9, 'it is of no kind that is known here'),
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
