"""Storage of tensors by value: dense, or sparse as the nonzero values and their positions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from pocketflow.utils.container.entropy import Stream, compress, decompress
from pocketflow.utils.container.errors import UnreadableError
from pocketflow.utils.container.values import from_bytes, nonzero, to_bytes
from pocketflow.utils.quantization.bit_packing import num_packed_bytes, pack_codes, unpack_codes

BYTES_PER_PLACE = {'bitmap': 11, 'delta': 26}
"""Memory per stored position while reading, by storage form, in bytes: codes or gaps, their sums and positions."""

_LONG_GAP = 255
_SMALL, _FEW, _MANY = 4096, 1 / 64, 1 / 8  # values; shares of zeros


def dense(values: np.ndarray) -> list[Stream]:
    """One stream with all values."""
    return [coded(values)]


def sparse(values: np.ndarray) -> dict[str, list[Stream]]:
    """Storage form -> two streams: positions of the nonzero values, and these values.

    Positions are one bit per element ('bitmap'), or the number of zeros before each value ('delta', see `gaps_of`).
    """
    there = nonzero(values)
    kept = coded(values.reshape(-1)[there])
    return {'bitmap': [compress(pack_codes(there, 1)), kept], 'delta': [compress(gaps_of(np.flatnonzero(there))), kept]}


def gaps_of(positions: np.ndarray) -> bytes:
    """Encodes ascending positions as gaps: a byte b < 255 skips b elements before a value; 255 skips 255 elements."""
    gaps = np.diff(positions, prepend=-1) - 1
    ends = np.cumsum(gaps // _LONG_GAP + 1) - 1
    result = np.full(ends[-1] + 1 if len(ends) else 0, _LONG_GAP, np.uint8)
    result[ends] = gaps % _LONG_GAP
    return result.tobytes()


def positions_of(gaps: bytes) -> np.ndarray:
    """The inverse of `gaps_of`; returns int64 positions."""
    steps = np.frombuffer(gaps, np.uint8).astype(np.int64)
    takes = steps < _LONG_GAP
    return (np.cumsum(steps + takes) - 1)[takes]


def read_dense(streams: Sequence[Stream], dtype: np.dtype, shape: Sequence[int]) -> np.ndarray:
    """The inverse of `dense`; raises an `UnreadableError` if the streams do not fit the tensor."""
    return values_of(streams[0], dtype, shape)


def read_bitmap(streams: Sequence[Stream], dtype: np.dtype, shape: Sequence[int]) -> np.ndarray:
    """The inverse of `sparse`, form 'bitmap'; raises an `UnreadableError` if the streams do not fit the tensor."""
    num_values = math.prod(shape)
    map_stream = exactly(streams[0], num_packed_bytes(num_values, 1))
    return _scattered(np.flatnonzero(unpack_codes(decompress(map_stream), num_values, 1)), streams[1], dtype, shape)


def read_delta(streams: Sequence[Stream], dtype: np.dtype, shape: Sequence[int]) -> np.ndarray:
    """The inverse of `sparse`, form 'delta'; raises an `UnreadableError` if the streams do not fit the tensor."""
    num_values = math.prod(shape)
    if streams[0].num_raw > num_values:
        raise UnreadableError(f'{streams[0].num_raw} gaps in a tensor of {num_values} values')
    positions = positions_of(decompress(streams[0]))
    if len(positions) and positions[-1] >= num_values:
        raise UnreadableError(f'a value at place {positions[-1]} of a tensor of {num_values} values')
    return _scattered(positions, streams[1], dtype, shape)


def values_of(stream: Stream, dtype: np.dtype, shape: Sequence[int]) -> np.ndarray:
    """Decodes a tensor from a stream, which must declare exactly the bytes of the tensor."""
    return from_bytes(decompress(exactly(stream, math.prod(shape) * dtype.itemsize)), dtype, shape)


def coded(values: np.ndarray) -> Stream:
    """Codes the values of an array as one stream."""
    return compress(to_bytes(values), values.dtype.itemsize)


def exactly(stream: Stream, num_bytes: int) -> Stream:
    """Returns the stream if it declares this number of bytes; checked before anything is decompressed."""
    if stream.num_raw != num_bytes:
        raise UnreadableError(f'a stream of {stream.num_raw} bytes where {num_bytes} are needed')
    return stream


def _scattered(positions: np.ndarray, stream: Stream, dtype: np.dtype, shape: Sequence[int]) -> np.ndarray:
    flat = np.zeros(math.prod(shape), dtype)
    flat[positions] = values_of(stream, dtype, positions.shape)
    return flat.reshape(shape)


READERS: dict[str, Callable[[Sequence[Stream], np.dtype, Sequence[int]], np.ndarray]] = {
    'dense': read_dense,
    'bitmap': read_bitmap,
    'delta': read_delta,
}
"""Reader by storage form."""


def smallest(values: np.ndarray) -> tuple[str, list[Stream]]:
    """The storage form with the fewest bytes, and its streams.

    For large tensors only forms that can be the smallest are tried: a position costs at most about one bit, a dense
    zero usually more.
    """
    share = 1 - np.count_nonzero(nonzero(values)) / max(values.size, 1)
    is_small = values.size <= _SMALL
    forms = {'dense': dense(values)} if is_small or share < _MANY else {}
    if share > (0 if is_small else _FEW):
        forms |= sparse(values)
    return min(forms.items(), key=lambda item: num_stored(item[1]))


def num_stored(streams: Sequence[Stream]) -> int:
    """Bytes of the streams in the file."""
    return sum(len(stream.payload) for stream in streams)
