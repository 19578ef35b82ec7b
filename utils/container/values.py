"""Conversion of arrays to bytes: little-endian, transposed by byte (first all first bytes of the values, and so on).

This separates signs and exponents, which compress well, from mantissas, which do not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from pocketflow.utils.container.errors import UnreadableError

DTYPES: dict[str, np.dtype] = {
    name: np.dtype(name)
    for name in (
        'bool',
        'int8',
        'int16',
        'int32',
        'int64',
        'uint8',
        'uint16',
        'uint32',
        'uint64',
        'float16',
        'float32',
        'float64',
    )
}
DTYPES['bfloat16'] = np.dtype(tf.bfloat16.as_numpy_dtype)
"""Supported types by name."""


def nonzero(values: np.ndarray) -> np.ndarray:
    """Boolean mask `[N]` of the flattened elements with any bit set: true for -0.0, false for +0.0."""
    set_bits: np.ndarray = _words(values) != 0
    return set_bits


def to_bytes(values: np.ndarray) -> bytes:
    """Converts an array of any shape to `values.nbytes` bytes."""
    return np.ascontiguousarray(_words(values).view(np.uint8).reshape(-1, values.dtype.itemsize).T).tobytes()


def from_bytes(raw: bytes, dtype: np.dtype, shape: Sequence[int]) -> np.ndarray:
    """The inverse of `to_bytes`; returns a new array.

    Raises:
      UnreadableError: the number of bytes does not match, or a bool is neither 0 nor 1.
    """
    if len(raw) != math.prod(shape) * dtype.itemsize:
        raise UnreadableError(f'{len(raw)} bytes for a {dtype.name} tensor of shape {tuple(shape)}')
    planes = np.frombuffer(raw, np.uint8).reshape(dtype.itemsize, math.prod(shape))
    together = np.empty(planes.shape[::-1], np.uint8)
    together[:] = planes.T
    words = together.view(_little(dtype)).astype(_native(dtype), copy=False)
    if dtype.kind == 'b' and words.max(initial=0) > 1:
        raise UnreadableError('a bool that is neither 0 nor 1')
    return words.view(dtype).reshape(shape)


def _words(values: np.ndarray) -> np.ndarray:
    flat = np.ascontiguousarray(values).reshape(-1)
    return flat.view(_native(values.dtype)).astype(_little(values.dtype), copy=False)


def _native(dtype: np.dtype) -> np.dtype:
    return np.dtype(f'=u{dtype.itemsize}')


def _little(dtype: np.dtype) -> np.dtype:
    return np.dtype(f'<u{dtype.itemsize}')
