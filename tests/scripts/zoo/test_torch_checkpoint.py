"""PyTorch checkpoints are read as data: tensors come back, and nothing else is called."""

from __future__ import annotations

import collections
import io
import os
import pickle
import struct
import sys
import types

import numpy as np
import pytest

from pocketflow.scripts.zoo.torch_checkpoint import MAGIC, PROTOCOL, read_checkpoint
from pocketflow.utils.errors import PocketFlowError

PROPERTIES = {'protocol_version': PROTOCOL, 'little_endian': True}


class FloatStorage:
    """Stands for PyTorch's class: pickles name it as torch.FloatStorage."""

    __module__ = 'torch'


def _rebuild_tensor_v2() -> None:
    """Stands for PyTorch's function."""


_rebuild_tensor_v2.__module__ = 'torch._utils'


class TensorOf:
    """Is pickled as PyTorch pickles a tensor."""

    def __init__(self, key: str, num_values: int, offset: int, shape: tuple, strides: tuple):
        self.storage, self.rest = types.SimpleNamespace(key=key, size=num_values), (offset, shape, strides)

    def __reduce__(self) -> tuple:
        return _rebuild_tensor_v2, (self.storage, *self.rest, False, collections.OrderedDict())


class _Pickler(pickle.Pickler):
    def persistent_id(self, item: object) -> tuple | None:
        if isinstance(item, types.SimpleNamespace):
            return ('storage', FloatStorage, item.key, 'cpu', item.size, None)
        return None


@pytest.fixture
def with_torch_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules by the names that pickles refer to, for writing them."""
    for name, content in (('torch', FloatStorage), ('torch._utils', _rebuild_tensor_v2)):
        module = types.ModuleType(name)
        setattr(module, content.__name__, content)
        monkeypatch.setitem(sys.modules, name, module)


def checkpoint(tensors: object, storages: dict[str, list[float]]) -> bytes:
    file = io.BytesIO()
    for part in (MAGIC, PROTOCOL, PROPERTIES, tensors, list(storages)):
        _Pickler(file, 2).dump(part)
    for values in storages.values():
        file.write(struct.pack('<q', len(values)) + np.asarray(values, '<f4').tobytes())
    return file.getvalue()


@pytest.mark.usefixtures('with_torch_names')
def test_tensors_are_views_of_storages():
    one, column = TensorOf('7', 6, 0, (2, 3), (3, 1)), TensorOf('7', 6, 1, (2,), (3,))
    content = checkpoint(
        {'one': one, 'column': column, 'scalar': TensorOf('8', 1, 0, (), ())}, {'8': [9], '7': range(6)}
    )
    arrays = read_checkpoint(content)
    assert {name: array.tolist() for name, array in arrays.items()} == {
        'one': [[0, 1, 2], [3, 4, 5]],
        'column': [1, 4],
        'scalar': 9,
    }


@pytest.mark.usefixtures('with_torch_names')
@pytest.mark.parametrize('tensor', [TensorOf('7', 6, 1, (2, 3), (3, 1)), TensorOf('7', 6, 0, (2, 3), (-3, 1))])
def test_views_beyond_their_storage_are_rejected(tensor):
    with pytest.raises(PocketFlowError, match='damaged .ValueError: a tensor reaches beyond its storage'):
        read_checkpoint(checkpoint({'one': tensor}, {'7': range(6)}))


class Attack:
    """Calls a function when it is unpickled as usual."""

    def __init__(self, folder: str):
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.folder,)


def test_code_is_not_called(tmp_path):
    content = checkpoint({'one': Attack(str(tmp_path / 'made'))}, {})
    with pytest.raises(PocketFlowError, match=r'names posix.mkdir; only tensors in ordered dicts are read'):
        read_checkpoint(content)
    assert not (tmp_path / 'made').exists()


@pytest.mark.parametrize('content', [b'', b'PK', pickle.dumps(MAGIC), pickle.dumps(1) * 2])
def test_other_files_are_rejected(content):
    with pytest.raises(PocketFlowError, match='damaged|no PyTorch checkpoint'):
        read_checkpoint(content)


@pytest.mark.usefixtures('with_torch_names')
def test_cut_files_are_rejected():
    content = checkpoint({'one': TensorOf('7', 6, 0, (6,), (1,))}, {'7': range(6)})
    with pytest.raises(PocketFlowError, match='damaged'):
        read_checkpoint(content[:-3])
