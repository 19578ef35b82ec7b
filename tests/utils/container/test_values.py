"""Arrays as bytes."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.utils.container.errors import UnreadableError
from pocketflow.utils.container.values import DTYPES, from_bytes, nonzero, to_bytes


def test_bytes_of_equal_rank_stand_together():
    assert to_bytes(np.array([0x0102, 0x0304], np.uint16)) == bytes([2, 4, 1, 3])
    assert to_bytes(np.array(1.0, np.float32)) == bytes([0, 0, 0x80, 0x3F])


@pytest.mark.parametrize('name', DTYPES)
@pytest.mark.parametrize('shape', [(), (0,), (3, 0, 2), (5,), (2, 3, 4)])
def test_every_type_and_shape_comes_back(name, shape):
    values = np.random.default_rng(0).integers(0, 2 if name == 'bool' else 100, shape)
    values = np.asarray(values).astype(DTYPES[name])
    back = from_bytes(to_bytes(values), DTYPES[name], shape)
    assert back.dtype == values.dtype and back.shape == shape
    assert back.tobytes() == values.tobytes() and back.flags.writeable


def test_every_bit_counts():
    words = np.array([0x7FC00001, 0xFFC12345, 0x80000000, 0x7F800000, 1], np.uint32)
    back = from_bytes(to_bytes(words.view(np.float32)), np.dtype(np.float32), (5,))
    np.testing.assert_array_equal(back.view(np.uint32), words)


def test_strided_views_are_read_in_their_order():
    values = np.arange(6, dtype=np.float32).reshape(2, 3).T
    np.testing.assert_array_equal(from_bytes(to_bytes(values), values.dtype, (3, 2)), values)


def test_minus_zero_is_a_value():
    np.testing.assert_array_equal(nonzero(np.array([0.0, -0.0, 2.0, np.nan], np.float32)), [False, True, True, True])


def test_what_does_not_fit_is_refused():
    with pytest.raises(UnreadableError, match=r'5 bytes for a float32 tensor of shape \(1,\)'):
        from_bytes(bytes(5), np.dtype(np.float32), (1,))
    with pytest.raises(UnreadableError, match='neither 0 nor 1'):
        from_bytes(b'\x02', np.dtype(bool), (1,))
