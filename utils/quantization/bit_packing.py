"""Packing of unsigned k-bit integers into bytes."""

from __future__ import annotations

import numpy as np

from pocketflow.utils.models.errors import UnreadableError

_BLOCK = 2**18  # codes per block; a multiple of 8, so that every block ends with a whole byte


def num_packed_bytes(num_codes: int, bits: int) -> int:
    """Size in bytes of `num_codes` packed codes of `bits` bits."""
    return -(-num_codes * bits // 8)


def pack_codes(codes: np.ndarray, bits: int) -> bytes:
    """Packs codes, the first one into the lowest bits of the first byte; the last byte is padded with zero bits.

    Args:
      codes: integers [N] in [0, 2^bits).
      bits: 1..16.

    Returns:
      ceil(N * bits / 8) bytes.
    """
    places = np.arange(bits, dtype=np.uint16)
    blocks = (codes[start : start + _BLOCK].astype(np.uint16) for start in range(0, len(codes), _BLOCK))
    return b''.join(_bits_to_bytes((block[:, None] >> places) & 1) for block in blocks)


def unpack_codes(packed: bytes, num_codes: int, bits: int) -> np.ndarray:
    """The inverse of `pack_codes`: uint16 [num_codes].

    Raises:
      UnreadableError: the number of bytes is wrong, or the padding bits of the last byte are not zero.
    """
    if len(packed) != num_packed_bytes(num_codes, bits):
        raise UnreadableError(f'{num_codes} codes of {bits} bits in {len(packed)} bytes')
    num_used = num_codes * bits % 8
    if num_used and packed[-1] >> num_used:
        raise UnreadableError('bits behind the last code that are not zero')
    content = np.frombuffer(packed, np.uint8)
    codes = np.empty(num_codes, np.uint16)
    for start in range(0, num_codes, _BLOCK):
        block = codes[start : start + _BLOCK]
        block[:] = _codes_of(content[start * bits // 8 :], len(block), bits)
    return codes


def _bits_to_bytes(bits: np.ndarray) -> bytes:
    return np.packbits(bits.astype(np.uint8).reshape(-1), bitorder='little').tobytes()


def _codes_of(content: np.ndarray, num_codes: int, bits: int) -> np.ndarray:
    needed = content[: num_packed_bytes(num_codes, bits)]
    digits = np.unpackbits(needed, count=num_codes * bits, bitorder='little').reshape(num_codes, bits)
    codes: np.ndarray = digits @ (np.uint16(1) << np.arange(bits, dtype=np.uint16))
    return codes
