"""Codes of k bits without gaps."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.utils.container.errors import UnreadableError
from pocketflow.utils.quantization import bit_packing
from pocketflow.utils.quantization.bit_packing import num_packed_bytes, pack_codes, unpack_codes


def test_the_first_code_lies_in_the_lowest_bits():
    assert pack_codes(np.array([1, 2, 3], np.uint8), 4) == bytes([0x21, 0x03])
    assert pack_codes(np.array([5, 1], np.uint8), 3) == bytes([0b001_101])
    assert pack_codes(np.array([0x1234], np.uint16), 16) == bytes([0x34, 0x12])


@pytest.mark.parametrize('bits', range(1, 17))
@pytest.mark.parametrize('block', [8, 2**18])
def test_all_widths_come_back(bits, block, monkeypatch):
    monkeypatch.setattr(bit_packing, '_BLOCK', block)
    codes = np.random.default_rng(bits).integers(0, 2**bits, 101).astype(np.uint16)
    codes[:2] = 0, 2**bits - 1
    packed = pack_codes(codes, bits)
    assert len(packed) == num_packed_bytes(101, bits)
    np.testing.assert_array_equal(unpack_codes(packed, 101, bits), codes)


def test_no_codes_need_no_bytes():
    assert pack_codes(np.zeros(0, np.uint8), 7) == b''
    assert unpack_codes(b'', 0, 7).shape == (0,)


def test_another_number_of_bytes_is_refused():
    with pytest.raises(UnreadableError, match='3 codes of 4 bits in 1 bytes'):
        unpack_codes(b'\0', 3, 4)


def test_leftover_bits_must_be_zero():
    with pytest.raises(UnreadableError, match='behind the last code'):
        unpack_codes(b'\x10', 1, 4)
