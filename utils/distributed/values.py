"""Serialisation of plain values without pickle, so that received data cannot execute code.

The format is the length of a JSON text (8 bytes, little-endian), the text, and the concatenated contents of all arrays
and byte strings. In the text each of these is an object `{MARK: [type, shape]}`, where the type is `bytes` or the name
of a NumPy or TensorFlow type; dictionaries must not have the key `MARK`.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import tensorflow as tf

MARK = '__array__'
LENGTH_BYTES = 8
KINDS = 'biuf'
"""Accepted NumPy kind codes: booleans, integers and floats. bfloat16 has kind V, and is accepted by name."""


def pack(value: Any) -> bytes:
    """Serialises a value of None, booleans, numbers, strings, bytes, arrays, lists, tuples and dictionaries with string
    keys. Infinities and NaN are allowed; tuples are restored as lists, NumPy scalars as Python's.

    Raises:
      TypeError: it holds a value of another type.
    """
    contents: list[bytes] = []
    text = json.dumps(_plain(value, contents)).encode()
    return b''.join([len(text).to_bytes(LENGTH_BYTES, 'little'), text, *contents])


def unpack(packed: bytes | memoryview) -> Any:
    """The inverse of `pack`.

    Raises:
      ValueError: the bytes are not in this format.
    """
    view = memoryview(packed)
    length = int.from_bytes(view[:LENGTH_BYTES], 'little')
    text, rest = view[LENGTH_BYTES : LENGTH_BYTES + length], _Reader(view[LENGTH_BYTES + length :])
    value = json.loads(bytes(text), object_hook=rest.restore)
    if rest.left:
        raise ValueError(f'{rest.left} bytes too many')
    return value


def _plain(value: Any, contents: list[bytes]) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(part, contents) for part in value]
    if isinstance(value, dict):
        if MARK in value or not all(isinstance(key, str) for key in value):
            raise TypeError(f'keys must be texts, and not {MARK!r}: {list(value)[:5]!r}')
        return {key: _plain(part, contents) for key, part in value.items()}
    if isinstance(value, bytes):
        contents.append(value)
        return {MARK: ['bytes', [len(value)]]}
    if isinstance(value, np.ndarray):
        contents.append(np.ascontiguousarray(value).tobytes())
        return {MARK: [_type_of(value.dtype.name).name, list(value.shape)]}
    raise TypeError(f'a {type(value).__name__} cannot be sent to other workers')


def _type_of(name: Any) -> np.dtype:
    """The numeric NumPy type with this name."""
    try:
        found: np.dtype[Any] = np.dtype(tf.as_dtype(name).as_numpy_dtype)
    except TypeError as error:
        raise TypeError(f'{name!r} is no type of numbers') from error
    if found.kind not in KINDS and found.name != 'bfloat16':
        raise TypeError(f'an array of {name} cannot be sent to other workers')
    return found


class _Reader:
    """Reads the contents of arrays from a buffer, in order."""

    def __init__(self, view: memoryview):
        self._view, self._place = view, 0

    @property
    def left(self) -> int:
        return len(self._view) - self._place

    def restore(self, entry: dict[str, Any]) -> Any:
        """Replaces an object `{MARK: ...}` by its array or bytes; returns other objects unchanged."""
        if MARK not in entry:
            return entry
        try:
            name, shape = entry[MARK]
            dtype = np.dtype(np.uint8) if name == 'bytes' else _type_of(name)
            num_bytes = math.prod(shape) * dtype.itemsize
            if min(shape, default=0) < 0 or num_bytes > self.left:
                raise ValueError(f'{num_bytes} bytes announced, {self.left} left')
            content = bytes(self._view[self._place : self._place + num_bytes])
            self._place += num_bytes
            return content if name == 'bytes' else np.frombuffer(content, dtype).reshape(shape).copy()
        except TypeError as error:
            raise ValueError(f'{entry[MARK]!r} describes no array: {error}') from error
