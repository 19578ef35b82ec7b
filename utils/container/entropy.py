"""The entropy coder: the smallest of a few that the standard library has, and bounded when reading.

No single one wins: bytes without structure are best left alone; Huffman codes alone do well on short alphabets; LZMA's
adaptive range coder spends fractions of bits, and so comes nearest to the entropy of quantized weights.
"""

from __future__ import annotations

import dataclasses
import lzma
import zlib
from collections.abc import Callable, Iterator, Sequence

from pocketflow.utils.container.errors import UnreadableError

_DICTIONARY = 2**20
_LZMA_CONTEXTS = (0, 3)
_SHORT, _HOPELESS = 4096, 0.75  # LZMA takes long, and finds nothing in long noise
_LEVEL = 6


@dataclasses.dataclass(frozen=True)
class Stream:
    """Coded bytes: the coder's name, the number of bytes before coding, and the bytes after it."""

    coder: str
    num_raw: int
    payload: bytes | memoryview


def compress(raw: bytes, num_parts: int = 1) -> Stream:
    """The smallest coding of these bytes; of equally small ones the simplest.

    Args:
      raw: any bytes.
      num_parts: how many parts of equal length, each with statistics of its own, the bytes have.
    """
    if not raw:
        return Stream('stored', 0, raw)
    best = _smaller([raw, *_deflated(raw, num_parts)], ('stored', 'deflate', 'deflate'), len(raw))
    if len(raw) > _SHORT and len(best.payload) > _HOPELESS * len(raw):
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
    raw = decoder.decompress(payload, num_raw + 1)  # one more than allowed shows where there is more
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
"""Name of a coder -> decoder of (payload, number of bytes wanted): the bytes, and whether all of it was used."""
