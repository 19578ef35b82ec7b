"""Files of arrays: what is in them, and what is refused."""

from __future__ import annotations

import random

import numpy as np
import pytest

from pocketflow.datasets.sources import array_files
from pocketflow.datasets.sources.array_files import open_arrays, read_array
from pocketflow.utils.errors import UsageError
from tests.datasets.sources.conftest import uploaded
from tests.utils.models.fuzz import changed_bytes


@pytest.fixture
def folder(tmp_path):
    np.savez_compressed(tmp_path / 'two.npz', x=np.arange(6).reshape(2, 3), y=np.array([1.5, 2]))
    (tmp_path / 'single').mkdir()
    np.save(tmp_path / 'single/x.npy', np.arange(6).reshape(2, 3))
    return tmp_path


def test_arrays_are_read_or_mapped(folder):
    packed, single = open_arrays(str(folder)), open_arrays(str(folder / 'single'))
    assert (sorted(packed), sorted(single)) == (['x', 'y'], ['x'])
    assert packed['x'].where.endswith('two.npz, array x') and not packed['x'].is_mapped
    np.testing.assert_array_equal(read_array(packed['x']), read_array(single['x']))
    assert isinstance(read_array(single['x']), np.memmap)


def test_arrays_at_an_address_of_tensorflow_are_read_into_memory(folder, monkeypatch):
    address = uploaded(folder, 'ram://arrays')
    expected = np.arange(6).reshape(2, 3)
    packed, single = open_arrays(address), open_arrays(f'{address}/single')
    assert (sorted(packed), sorted(single), single['x'].is_mapped) == (['x', 'y'], ['x'], False)
    assert single['x'].num_bytes == (folder / 'single/x.npy').stat().st_size
    for stored in (packed['x'], single['x'], open_arrays(f'{address}/two.npz')['x']):
        np.testing.assert_array_equal(read_array(stored), expected)
    monkeypatch.setattr(array_files, 'available_bytes', lambda: 100)
    with pytest.raises(UsageError, match='x.npy: takes 176 bytes of memory, 100 bytes are available'):
        read_array(single['x'])
    with pytest.raises(UsageError, match=r'none.npz: not a .npz file \(No such file'):
        open_arrays(f'{address}/none.npz')


def test_what_does_not_fit_into_memory_is_refused(folder, monkeypatch):
    monkeypatch.setattr(array_files, 'available_bytes', lambda: 100)
    with pytest.raises(
        UsageError, match='array x: takes 176 bytes of memory, 100 bytes are available; save it as a .npy'
    ):
        read_array(open_arrays(str(folder))['x'])
    read_array(open_arrays(str(folder / 'single'))['x'])


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        (np.array(['a']), 'holds <U1 of shape'),
        (np.array(3), r'holds int64 of shape \(\); expected an array of numbers'),
        (np.array([None]), 'holds Python objects, which can run code'),
    ],
)
def test_only_numbers_are_accepted(tmp_path, value, message):
    np.save(tmp_path / 'x.npy', value)
    np.savez(tmp_path / 'x.npz', x=value)
    for where in (tmp_path / 'x.npz', tmp_path):
        with pytest.raises(UsageError, match=message):
            read_array(open_arrays(str(where))['x'])
        (tmp_path / 'x.npz').unlink(missing_ok=True)


def test_what_is_missing_is_told(tmp_path):
    with pytest.raises(UsageError, match='holds no .npz or .npy files; expected there: arrays x_train and y_train'):
        open_arrays(str(tmp_path))
    for name in ('a.npz', 'b.npz'):
        np.savez(tmp_path / name)
    with pytest.raises(UsageError, match='holds a.npz, b.npz; give one .npz file'):
        open_arrays(str(tmp_path))
    with pytest.raises(UsageError, match='a.npz: holds no arrays'):
        open_arrays(str(tmp_path / 'a.npz'))
    (tmp_path / 'a.npz').write_bytes(b'text')
    with pytest.raises(UsageError, match='a.npz: not a .npz file'):
        open_arrays(str(tmp_path / 'a.npz'))


@pytest.mark.parametrize('name', ['two.npz', 'single/x.npy'])
def test_changed_files_are_read_or_refused_by_one_line(folder, name):
    path = folder / name
    sound, lines = path.read_bytes(), []
    for number in range(200):
        path.write_bytes(changed_bytes(sound, random.Random(f'{name}/{number}')))
        try:
            for stored in open_arrays(str(path if name.endswith('.npz') else path.parent)).values():
                read_array(stored)
        except UsageError as error:
            lines.append(str(error))
    assert 20 < len(lines) < 200
    assert all('\n' not in line and len(line) < 700 for line in lines)
