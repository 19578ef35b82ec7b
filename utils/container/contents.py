"""Conversion of tensors to bytes and back, without Keras; reports use only this part."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pocketflow.utils.container import codes, plain
from pocketflow.utils.container.entropy import CODERS, Stream
from pocketflow.utils.container.errors import UnreadableError
from pocketflow.utils.container.fields import Fields, checked_integer, checked_list
from pocketflow.utils.container.layout import assemble, opened
from pocketflow.utils.container.limits import MAX_BYTES, MAX_MEMORY, MAX_NAME_LENGTH, MAX_RANK, MAX_TENSORS, MAX_VALUES
from pocketflow.utils.container.values import DTYPES
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.quantization.encoding import Encoding

_FLOAT = np.dtype(np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class Tensor:
    """One weight of a model; a kernel with an encoding is stored in encoded form, and `layer` names its layer."""

    name: str
    values: np.ndarray
    encoding: Encoding | None = None
    layer: str = ''


@dataclasses.dataclass(frozen=True)
class Contents:
    """Content of a container: the architecture as JSON, and the weights in the model's order."""

    architecture: dict[str, Any]
    tensors: Sequence[Tensor]


@dataclasses.dataclass(frozen=True)
class _Entry:
    """The manifest's entry of one tensor; a stream is (coder, bytes before coding, bytes in the file)."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    form: str
    facts: codes.CodeFacts | None
    streams: tuple[tuple[str, int, int], ...]

    def to_json(self) -> dict[str, Any]:
        facts = self.facts.to_json() if self.facts else {}
        return {
            'name': self.name,
            'dtype': self.dtype.name,
            'shape': self.shape,
            'form': self.form,
            **facts,
            'streams': self.streams,
        }

    @classmethod
    def from_json(cls, value: Any) -> _Entry:
        fields = Fields(value, 'an entry of the manifest')
        name = fields.text('name', MAX_NAME_LENGTH)
        fields.what = f'tensor {name!r}'
        shape = tuple(
            checked_integer(size, 0, MAX_VALUES, f'a size of {fields.what}') for size in fields.items('shape', MAX_RANK)
        )
        if math.prod(shape) > MAX_VALUES:
            raise UnreadableError(f'{fields.what} has {math.prod(shape)} values; at most {MAX_VALUES} are accepted')
        form = fields.one_of('form', (*plain.READERS, *codes.FORMS))
        entry = cls(
            name,
            DTYPES[fields.one_of('dtype', DTYPES)],
            shape,
            form,
            codes.from_manifest(form, fields, shape),
            tuple(_stream(item, fields.what) for item in fields.items('streams', 3)),
        )
        entry._check()
        return entry

    def _check(self) -> None:
        if self.facts and self.dtype != np.float32:
            raise UnreadableError(f'tensor {self.name!r} has codes, and {self.dtype.name} values')
        num_expected = self.facts.num_streams if self.facts else 1 if self.form == 'dense' else 2
        if len(self.streams) != num_expected:
            raise UnreadableError(f'tensor {self.name!r} has {len(self.streams)} streams and needs {num_expected}')

    @property
    def num_values(self) -> int:
        """Number of values during reading."""
        return math.prod(self.shape) + (self.facts.num_values(self.shape) if self.facts else 0)

    @property
    def num_bytes(self) -> int:
        """Memory of the tensor after reading, in bytes: as an array, as a weight of the model, and its encoding."""
        encoding = self.facts.num_bytes(self.shape) if self.facts else 0
        return 2 * math.prod(self.shape) * self.dtype.itemsize + encoding

    @property
    def num_bytes_to_read(self) -> int:
        """Additional memory while reading, in bytes: the streams before and after decoding, and intermediate arrays."""
        num_values, per_place = math.prod(self.shape), plain.BYTES_PER_PLACE.get(self.form, 0)
        num_places = self.streams[0][1] if self.form == 'delta' else num_values
        decoding = 2 * _FLOAT.itemsize * self.facts.num_values(self.shape) if self.facts else 0
        return sum(num_raw for _, num_raw, _ in self.streams) + per_place * num_places + decoding

    @property
    def num_stored(self) -> int:
        return sum(stored for _, _, stored in self.streams)


@dataclasses.dataclass(frozen=True)
class TensorRow:
    """A tensor in reports: its storage form, and its bytes in the file (without the manifest)."""

    name: str
    shape: tuple[int, ...]
    form: str
    num_bytes: int


def write(contents: Contents) -> bytes:
    """Assembles the bytes of a container.

    Raises:
      PocketFlowError: the content exceeds a limit of reading, or an encoding is inconsistent.
    """
    parts = [_written(tensor) for tensor in contents.tensors]
    entries = [entry for entry, _ in parts]
    try:
        _check_totals(entries)
    except UnreadableError as error:
        raise PocketFlowError(f'the model cannot be packed: {error}') from error
    manifest = {
        'architecture': contents.architecture,
        'nb_values': _num_weights(entries),
        'tensors': [entry.to_json() for entry in entries],
    }
    return assemble(manifest, itertools.chain.from_iterable(streams for _, streams in parts))


def read(content: bytes) -> Contents:
    """The inverse of `write`.

    Raises:
      UnreadableError: the bytes are no container, or a truncated one.
    """
    manifest, entries, body = _read_manifest(content)
    starts = itertools.accumulate((entry.num_stored for entry in entries), initial=0)
    tensors = [
        _read(entry, body[start : start + entry.num_stored]) for entry, start in zip(entries, starts, strict=False)
    ]
    return Contents(manifest.object('architecture').value, tensors)


def rows(content: bytes) -> list[TensorRow]:
    """One row per tensor, in the model's order; raises an `UnreadableError` if the bytes are no container."""
    return [TensorRow(entry.name, entry.shape, entry.form, entry.num_stored) for entry in _read_manifest(content)[1]]


def _written(tensor: Tensor) -> tuple[_Entry, list[Stream]]:
    if tensor.encoding is None:
        facts = None
        form, streams = plain.smallest(tensor.values)
    else:
        try:
            facts, streams = codes.write(tensor.layer, tensor.encoding)
        except ValueError as error:
            raise PocketFlowError(f'layer {tensor.layer!r} cannot be packed as its encoding: {error}') from error
        form = facts.form
    sizes = tuple((stream.coder, stream.num_raw, len(stream.payload)) for stream in streams)
    return _Entry(tensor.name, tensor.values.dtype, tensor.values.shape, form, facts, sizes), streams


def _read_manifest(content: bytes) -> tuple[Fields, list[_Entry], memoryview]:
    manifest, body = opened(content)
    entries = [_Entry.from_json(value) for value in manifest.items('tensors', MAX_TENSORS)]
    _check_totals(entries)
    if manifest.integer('nb_values', 0, MAX_VALUES) != _num_weights(entries):
        raise UnreadableError(
            f'the manifest announces {manifest.any("nb_values")} values and lists {_num_weights(entries)}'
        )
    num_stored = sum(entry.num_stored for entry in entries)
    if num_stored != len(body):
        raise UnreadableError(f'{len(body)} bytes of tensors where the manifest lists {num_stored}')
    return manifest, entries, body


def _check_totals(entries: Sequence[_Entry]) -> None:
    num_values = sum(entry.num_values for entry in entries)
    if num_values > MAX_VALUES or len(entries) > MAX_TENSORS:
        raise UnreadableError(
            f'{len(entries)} tensors that need {num_values} values; at most {MAX_TENSORS} and {MAX_VALUES} are accepted'
        )
    num_bytes = sum(entry.num_bytes for entry in entries) + max(
        (entry.num_bytes_to_read for entry in entries), default=0
    )
    if num_bytes > MAX_MEMORY:
        raise UnreadableError(
            f'reading its tensors would take {num_bytes} bytes of memory; at most {MAX_MEMORY} are accepted'
        )


def _num_weights(entries: Sequence[_Entry]) -> int:
    return sum(math.prod(entry.shape) for entry in entries)


def _read(entry: _Entry, stored: memoryview) -> Tensor:
    streams = []
    for coder, num_raw, num_stored in entry.streams:
        streams.append(Stream(coder, num_raw, stored[:num_stored]))
        stored = stored[num_stored:]
    try:
        if entry.facts is None:
            return Tensor(entry.name, plain.READERS[entry.form](streams, entry.dtype, entry.shape))
        encoding = codes.read(entry.facts, streams, entry.shape)
    except UnreadableError as error:
        raise UnreadableError(f'tensor {entry.name!r}: {error}') from error
    with np.errstate(all='ignore'):  # scales may be NaN, as weights may
        return Tensor(entry.name, encoding.decode(), encoding, entry.facts.layer)


def _stream(value: Any, what: str) -> tuple[str, int, int]:
    items = checked_list(value, 3, f'a stream of {what}')
    names = ('coder', 'nb_raw', 'nb_stored')
    fields = Fields(dict(zip(names, items, strict=False)), f'a stream of {what}')
    return (
        fields.one_of('coder', CODERS),
        fields.integer('nb_raw', 0, 2**34),
        fields.integer('nb_stored', 0, MAX_BYTES),
    )
