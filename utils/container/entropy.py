"""Entropy coding by the best of several coders of the standard library, with bounded decoding.

No coder is best for all data: bytes without structure are smallest uncoded; Huffman codes suffice for short alphabets;
LZMA's adaptive range coder uses fractions of bits, and comes closest to the entropy of quantized weights.
"""

from __future__ import annotations

import dataclasses
import lzma
import zlib
from collections.abc import Callable, Iterator, Sequence

from pocketflow.utils.container.errors import UnreadableError

_DICTIONARY = 2**20
_LZMA_CONTEXTS = (0, 3)
_SHORT, _INCOMPRESSIBLE = 4096, 0.75  # LZMA is slow, and gains nothing on long noise
_LEVEL = 6


@dataclasses.dataclass(frozen=True)
class Stream:
    """Coded bytes: name of the coder, number of bytes before coding, and the coded bytes."""

    coder: str
    num_raw: int
    payload: bytes | memoryview


def compress(raw: bytes, num_parts: int = 1) -> Stream:
    """Codes bytes with the coder that gives the smallest result; ties go to the simplest coder.

    Args:
      raw: any bytes.
      num_parts: number of parts of equal length with different statistics.
    """
    if not raw:
        return Stream('stored', 0, raw)
    best = _smaller([raw, *_deflated(raw, num_parts)], ('stored', 'deflate', 'deflate'), len(raw))
    if len(raw) > _SHORT and len(best.payload) > _INCOMPRESSIBLE * len(raw):
        return best
    lzma_coded = _smaller(list(_lzma(raw)), ('lzma',) * len(_LZMA_CONTEXTS), len(raw))
    return min(best, lzma_coded, key=lambda stream: len(stream.payload))


def decompress(stream: Stream) -> bytes:
    """The bytes before coding.

    Raises:
      UnreadableError: the coder is unknown, or the payload is not exactly one coding of `num_raw` bytes.
    """
    if stream.coder not in CODERS:
        raise UnreadableError(f'coder {stream.coder!r}; known: {", ".join(CODERS)}')
    try:
        raw, is_exact = CODERS[stream.coder](stream.payload, stream.num_raw)
    except (zlib.error, lzma.LZMAError, EOFError) as error:
        raise UnreadableError(f'damaged {stream.coder} stream ({error})') from error
    if not is_exact or len(raw) != stream.num_raw:
        raise UnreadableError(f'a {stream.coder} stream that does not hold {stream.num_raw} bytes')
    return raw


def _smaller(payloads: Sequence[bytes], coders: Sequence[str], num_raw: int) -> Stream:
    return min(
        (Stream(coder, num_raw, payload) for coder, payload in zip(coders, payloads, strict=True)),
        key=lambda stream: len(stream.payload),
    )


def _deflated(raw: bytes, num_parts: int) -> Iterator[bytes]:
    size = len(raw) // num_parts
    for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY):
        coder = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, 9, strategy)
        parts = (
            coder.compress(raw[part * size : (part + 1) * size]) + coder.flush(zlib.Z_BLOCK)
            for part in range(num_parts)
        )
        yield b''.join(parts) + coder.flush()


def _lzma(raw: bytes) -> Iterator[bytes]:
    for num_context_bits in _LZMA_CONTEXTS:
        yield lzma.compress(raw, lzma.FORMAT_RAW, filters=[_lzma_filter(lc=num_context_bits, lp=0, pb=0)])


def _lzma_filter(**settings: int) -> dict[str, int]:
    return {'id': lzma.FILTER_LZMA2, 'dict_size': _DICTIONARY, **settings}


def _stored_raw(payload: bytes | memoryview, num_raw: int) -> tuple[bytes, bool]:
    return bytes(payload), len(payload) == num_raw


def _inflated(payload: bytes | memoryview, num_raw: int) -> tuple[bytes, bool]:
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    raw = decoder.decompress(payload, num_raw + 1)  # one byte more, to detect a longer content
    return raw, decoder.eof and not decoder.unused_data


def _lzma_raw(payload: bytes | memoryview, num_raw: int) -> tuple[bytes, bool]:
    decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[_lzma_filter()])
    raw = decoder.decompress(payload, num_raw + 1)
    return raw, decoder.eof and not decoder.unused_data


CODERS: dict[str, Callable[[bytes | memoryview, int], tuple[bytes, bool]]] = {
    'stored': _stored_raw,
    'deflate': _inflated,
    'lzma': _lzma_raw,
}
"""Name of a coder -> decoder: (payload, number of bytes) -> (decoded bytes, whether the whole payload was used)."""
