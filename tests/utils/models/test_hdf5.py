"""Files of weights that are no plain arrays of numbers: refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h5py
import pytest

from tests.utils.models.conftest import config_of, legacy, refused, whole_hdf5, with_weights, zipped


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
    'texts': (lambda file, marker: file.update(x=['text']), "array 'x' is not numeric"),
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
