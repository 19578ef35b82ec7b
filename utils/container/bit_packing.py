"""Unsigned integers of k bits, laid side by side without gaps."""

from __future__ import annotations

import numpy as np

from pocketflow.utils.container.errors import UnreadableError

_BLOCK = 2**18  # codes at a time; a multiple of 8, so that every block ends with a whole byte


def nb_packed_bytes(nb_codes: int, bits: int) -> int:
    """Bytes that `nb_codes` codes of `bits` bits need."""
    return -(-nb_codes * bits // 8)


def pack_codes(codes: np.ndarray, bits: int) -> bytes:
    """Packs codes, the first one into the lowest bits of the first byte; the last byte is filled up with zeros.

    Args:
      codes: integers [N] in [0, 2^bits).
      bits: 1..16.

    Returns:
      ceil(N * bits / 8) bytes.
    """
    places = np.arange(bits, dtype=np.uint16)
    blocks = (codes[start:start + _BLOCK].astype(np.uint16) for start in range(0, len(codes), _BLOCK))
    return b''.join(_bits_to_bytes((block[:, None] >> places) & 1) for block in blocks)


def unpack_codes(packed: bytes, nb_codes: int, bits: int) -> np.ndarray:
    """The inverse of `pack_codes`: uint16 [nb_codes].

    Raises:
      UnreadableError: the number of bytes is another one, or the bits that fill up the last byte are not zero.
    """
    if len(packed) != nb_packed_bytes(nb_codes, bits):
        raise UnreadableError(f'{nb_codes} codes of {bits} bits in {len(packed)} bytes')
    nb_used = nb_codes * bits % 8
    if nb_used and packed[-1] >> nb_used:
        raise UnreadableError('bits behind the last code that are not zero')
    content = np.frombuffer(packed, np.uint8)
    codes = np.empty(nb_codes, np.uint16)
    for start in range(0, nb_codes, _BLOCK):
        block = codes[start:start + _BLOCK]
        block[:] = _codes_of(content[start * bits // 8:], len(block), bits)
    return codes


def _bits_to_bytes(bits: np.ndarray) -> bytes:
    return np.packbits(bits.astype(np.uint8).reshape(-1), bitorder='little').tobytes()


def _codes_of(content: np.ndarray, nb_codes: int, bits: int) -> np.ndarray:
    needed = content[:nb_packed_bytes(nb_codes, bits)]
    digits = np.unpackbits(needed, count=nb_codes * bits, bitorder='little').reshape(nb_codes, bits)
    return digits @ (np.uint16(1) << np.arange(bits, dtype=np.uint16))
