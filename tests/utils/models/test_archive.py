"""Archives, HDF5 files and files of other kinds that are no models, or hold more than one: one line each."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.utils.models.conftest import Parts, refused, zipped


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
