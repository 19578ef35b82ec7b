"""Storage of quantized tensors: integer codes, with scales or code books per bucket."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pocketflow.utils.container.entropy import Stream, compress, decompress
from pocketflow.utils.container.errors import UnreadableError
from pocketflow.utils.container.fields import Fields, checked_list
from pocketflow.utils.container.limits import MAX_NAME_LENGTH, MAX_VALUES
from pocketflow.utils.container.plain import coded, exactly, num_stored, values_of
from pocketflow.utils.container.values import DTYPES, from_bytes
from pocketflow.utils.quantization.bit_packing import num_packed_bytes, pack_codes, unpack_codes
from pocketflow.utils.quantization.encoding import BUCKET_KINDS, AffineEncoding, Buckets, CodebookEncoding, Encoding

FORMS = ('affine', 'codebook')
MAX_BITS = 16
PACKINGS = ('bits', 'bytes')
CODE_DTYPES = tuple(name for name in DTYPES if 'int' in name)
_FLOAT = np.dtype(np.float32)


@dataclasses.dataclass(frozen=True)
class CodeFacts:
    """The manifest's fields of an encoded kernel, without its shape; they correspond to those of the encodings.

    Attributes:
      layer: name of the kernel's layer.
      packing: 'bits' (codes without gaps) or 'bytes' (one or two whole bytes per code), before the entropy coder.
      dtype: type of the codes in memory.
    """

    form: str
    layer: str
    packing: str
    dtype: np.dtype
    bits: int
    buckets: Buckets
    zero_code: int | None

    def to_json(self) -> dict[str, Any]:
        buckets = self.buckets
        return {
            'layer': self.layer,
            'packing': self.packing,
            'codes': self.dtype.name,
            'bits': self.bits,
            'buckets': [buckets.kind, buckets.size, buckets.num_channel_axes],
            'zero_code': self.zero_code,
        }

    @classmethod
    def from_json(cls, form: str, fields: Fields, shape: Sequence[int]) -> CodeFacts:
        """Reads and checks the fields of a tensor with this shape."""
        bits = fields.integer('bits', 1, MAX_BITS)
        is_symmetric = form == 'affine' and fields.any('zero_code') is not None
        return cls(
            form=form,
            layer=fields.text('layer', MAX_NAME_LENGTH),
            packing=fields.one_of('packing', PACKINGS),
            dtype=_code_dtype(fields, bits),
            bits=bits,
            buckets=_buckets(fields, shape),
            zero_code=fields.integer('zero_code', 0, 2**bits - 1) if is_symmetric else None,
        )

    @property
    def num_streams(self) -> int:
        """Number of streams: codes and code books; or codes, scales, and on an asymmetric grid offsets."""
        return 3 if self.form == 'affine' and self.zero_code is None else 2

    def table_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Shape of the code books, or of the scales and of the offsets, for a tensor of this shape."""
        num_buckets = self.buckets.matrix_shape(shape)[1]
        return (num_buckets,) if self.form == 'affine' else (num_buckets, 2**self.bits)

    def num_values(self, shape: Sequence[int]) -> int:
        """Number of values during decoding: the padded buckets and the tables."""
        tables = (self.num_streams - 1) * math.prod(self.table_shape(shape))
        return math.prod(self.buckets.matrix_shape(shape)) + tables

    def num_bytes(self, shape: Sequence[int]) -> int:
        """Memory of the codes and the tables in bytes."""
        tables = (self.num_streams - 1) * math.prod(self.table_shape(shape))
        return self.dtype.itemsize * math.prod(shape) + _FLOAT.itemsize * tables


def write(layer: str, encoding: Encoding) -> tuple[CodeFacts, list[Stream]]:
    """The manifest fields and the streams of an encoding, in the smaller of the packings.

    Raises:
      ValueError: the encoding is inconsistent, or exceeds a limit of the container.
    """
    facts = CodeFacts(
        form='codebook' if isinstance(encoding, CodebookEncoding) else 'affine',
        layer=layer,
        packing='bits',
        dtype=encoding.codes.dtype,
        bits=encoding.bits,
        buckets=encoding.buckets,
        zero_code=getattr(encoding, 'zero_code', None),
    )
    _check(facts, encoding)
    tables = [coded(table) for table in _tables(encoding)]
    codes = {packing: [_coded(encoding.codes.reshape(-1), packing, encoding.bits)] for packing in PACKINGS}
    packing, streams = min(codes.items(), key=lambda item: num_stored(item[1]))
    return dataclasses.replace(facts, packing=packing), streams + tables


def read(facts: CodeFacts, streams: Sequence[Stream], shape: Sequence[int]) -> Encoding:
    """The inverse of `write`; raises an `UnreadableError` if the streams do not fit the tensor."""
    codes = _read_codes(facts, streams[0], math.prod(shape)).astype(facts.dtype).reshape(shape)
    tables = [values_of(stream, _FLOAT, facts.table_shape(shape)) for stream in streams[1:]]
    if facts.form == 'codebook':
        (codebooks,) = tables
        return CodebookEncoding(codes, facts.bits, facts.buckets, codebooks)
    offsets = tables[1] if facts.zero_code is None else None
    return AffineEncoding(codes, facts.bits, facts.buckets, tables[0], offsets, facts.zero_code)


def _coded(codes: np.ndarray, packing: str, bits: int) -> Stream:
    return compress(pack_codes(codes, bits)) if packing == 'bits' else coded(codes.astype(_whole_bytes(bits)))


def _read_codes(facts: CodeFacts, stream: Stream, num_codes: int) -> np.ndarray:
    if facts.packing == 'bits':
        return unpack_codes(decompress(exactly(stream, num_packed_bytes(num_codes, facts.bits))), num_codes, facts.bits)
    dtype = _whole_bytes(facts.bits)
    codes = from_bytes(decompress(exactly(stream, num_codes * dtype.itemsize)), dtype, (num_codes,))
    if codes.max(initial=0) >= 2**facts.bits:
        raise UnreadableError(f'code {codes.max()} of {facts.bits} bits')
    return codes


def _whole_bytes(bits: int) -> np.dtype:
    return np.dtype(np.uint8 if bits <= 8 else np.uint16)


def _tables(encoding: Encoding) -> list[np.ndarray]:
    if isinstance(encoding, CodebookEncoding):
        return [encoding.codebooks]
    return [encoding.scales] + ([] if encoding.offsets is None else [encoding.offsets])


def _check(facts: CodeFacts, encoding: Encoding) -> None:
    shape = encoding.codes.shape
    try:
        CodeFacts.from_json(facts.form, Fields(facts.to_json(), 'the encoding'), shape)
    except UnreadableError as error:
        raise ValueError(str(error)) from error
    if not 0 <= int(encoding.codes.min()) <= int(encoding.codes.max()) < 2**encoding.bits:
        raise ValueError(f'codes outside 0..{2**encoding.bits - 1}')
    for table in _tables(encoding):
        if table.dtype != _FLOAT or table.shape != facts.table_shape(shape):
            raise ValueError(
                f'a {table.dtype} table of shape {table.shape}; float32 of shape {facts.table_shape(shape)} is needed'
            )


def _code_dtype(fields: Fields, bits: int) -> np.dtype:
    dtype = DTYPES[fields.one_of('codes', CODE_DTYPES)]
    if np.iinfo(dtype).max < 2**bits - 1:
        raise UnreadableError(f'codes of {bits} bits in {dtype.name}')
    return dtype


def _buckets(fields: Fields, shape: Sequence[int]) -> Buckets:
    kind, size, num_axes = _three(checked_list(fields.any('buckets'), 3, f'buckets of {fields.what}'), fields.what)
    known = Fields({'kind': kind, 'size': size, 'nb_channel_axes': num_axes}, f'buckets of {fields.what}')
    known.one_of('kind', BUCKET_KINDS)
    known.integer('size', 1 if kind == 'split' else 0, MAX_VALUES)
    known.integer('nb_channel_axes', 1, 2)
    if not math.prod(shape) or (kind == 'channel' and num_axes > len(shape)):
        raise UnreadableError(f'{fields.what}: shape {tuple(shape)} cannot be cut into buckets')
    return Buckets(kind, size, num_axes)


def _three(values: Sequence[Any], what: str) -> Sequence[Any]:
    if len(values) != 3:
        raise UnreadableError(f'buckets of {what} are not [kind, size, nb_channel_axes]')
    return values


def from_manifest(form: str, fields: Fields, shape: Sequence[int]) -> CodeFacts | None:
    """The fields of an encoded tensor; `None` for one that is stored by value."""
    return CodeFacts.from_json(form, fields, shape) if form in FORMS else None
