"""Reads the tensors of a PyTorch checkpoint (`torch.save` before version 1.6) without PyTorch and without running code.

Such a file is a sequence of pickles: a magic number, the version of the protocol, properties of the machine, the
tensors by name, and the keys of their storages; the storages' values follow in the order of the keys. A pickle may name
any function to call. Here only the names of a tensor, of storages and of an ordered dict are known, which stand for
plain functions and values of this module; a file with any other name is rejected.
"""

from __future__ import annotations

import collections
import io
import math
import pickle
import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pocketflow.utils.errors import PocketFlowError

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
STORAGE_TYPES = {'FloatStorage': '<f4', 'HalfStorage': '<f2', 'DoubleStorage': '<f8', 'LongStorage': '<i8'}
"""Class of a storage -> type of its values; the files are little-endian."""


class Storage(NamedTuple):
    """A flat array in the file: key, type and number of its values."""

    key: str
    dtype: str
    size: int


class Tensor(NamedTuple):
    """A view of a storage: first element, shape, and the strides in elements."""

    storage: Storage
    offset: int
    shape: Sequence[int]
    strides: Sequence[int]


def _tensor(storage: Storage, offset: int, shape: Sequence[int], strides: Sequence[int], *_: Any) -> Tensor:
    """What the pickles call for a tensor; the remaining arguments are about gradients."""
    return Tensor(storage, offset, shape, strides)


KNOWN: Mapping[tuple[str, str], Any] = {
    ('torch._utils', '_rebuild_tensor_v2'): _tensor,
    ('collections', 'OrderedDict'): collections.OrderedDict,
    **{('torch', name): dtype for name, dtype in STORAGE_TYPES.items()},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in KNOWN:
            raise PocketFlowError(f'the checkpoint names {module}.{name}; only tensors in ordered dicts are read')
        return KNOWN[module, name]

    def persistent_load(self, identifier: Any) -> Storage:
        kind, dtype, key, _, size, *_ = identifier
        if kind != 'storage' or dtype not in STORAGE_TYPES.values():
            raise PocketFlowError(f'the checkpoint refers to {kind!r}; only storages of tensors are read')
        return Storage(str(key), dtype, int(size))


def read_checkpoint(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint that holds a flat dict of tensors, by name.

    Args:
      content: the bytes of the file.

    Raises:
      PocketFlowError: it is no such file, or names anything but tensors.
    """
    file = io.BytesIO(content)
    try:
        if (_Unpickler(file).load(), _Unpickler(file).load()) != (MAGIC, PROTOCOL):
            raise PocketFlowError('the file is no PyTorch checkpoint of protocol 1001 (torch.save before version 1.6)')
        properties, tensors, keys = (_Unpickler(file).load() for _ in range(3))
        if not properties['little_endian']:
            raise PocketFlowError('the checkpoint is big-endian; only little-endian ones are read')
        storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
        values = {key: _values(file, storages[key]) for key in keys}
        return {name: _view(values[tensor.storage.key], tensor) for name, tensor in tensors.items()}
    except PocketFlowError:
        raise
    except Exception as error:  # pickle raises various types for damaged files
        raise PocketFlowError(f'the PyTorch checkpoint is damaged ({type(error).__name__}: {error})') from error


def _values(file: io.BytesIO, storage: Storage) -> np.ndarray:
    """The next storage in the file: the number of its values, then these."""
    (size,) = struct.unpack('<q', file.read(8))
    if size != storage.size:
        raise ValueError(f'storage {storage.key} has {size} values; {storage.size} are expected')
    data = file.read(size * np.dtype(storage.dtype).itemsize)
    return np.frombuffer(data, storage.dtype, size)


def _view(values: np.ndarray, tensor: Tensor) -> np.ndarray:
    """A copy of a tensor's part of its storage."""
    shape, strides = tuple(map(int, tensor.shape)), tuple(map(int, tensor.strides))
    last = tensor.offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if math.prod(shape) and not (0 <= tensor.offset <= last < len(values) and min(strides, default=0) >= 0):
        raise ValueError('a tensor reaches beyond its storage')
    item = values.itemsize
    view = np.lib.stride_tricks.as_strided(
        values[tensor.offset :], shape, [stride * item for stride in strides], writeable=False
    )
    return view.copy()
