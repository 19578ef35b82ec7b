"""Tensors stored by value."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pocketflow.utils.container import plain
from pocketflow.utils.container.entropy import compress
from pocketflow.utils.container.errors import UnreadableError

FLOAT = np.dtype(np.float32)


def sparse_tensor(share: float, size: int = 3000) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.where(rng.uniform(size=size) >= share, rng.normal(size=size), 0).astype(np.float32).reshape(-1, 30)


def test_gaps_by_hand():
    assert plain.gaps_of(np.array([0, 1, 4])) == bytes([0, 0, 2])
    assert plain.gaps_of(np.array([254, 510])) == bytes([254, 255, 0])
    assert plain.gaps_of(np.array([255])) == bytes([255, 0])
    assert plain.gaps_of(np.array([], np.int64)) == b''
    np.testing.assert_array_equal(plain.positions_of(bytes([255, 0, 254])), [255, 510])


@pytest.mark.parametrize('share', [0.0, 0.3, 0.9, 0.999])
def test_gaps_come_back(share):
    positions = np.flatnonzero(np.random.default_rng(0).uniform(size=5000) >= share)
    np.testing.assert_array_equal(plain.positions_of(plain.gaps_of(positions)), positions)


@pytest.mark.parametrize('share', [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize('dtype', [np.float32, np.float16, np.int64, np.bool_])
def test_every_form_comes_back(share, dtype):
    values = sparse_tensor(share).astype(dtype)
    values[0] = -values[0] if dtype != np.bool_ else values[0]  # also -0.0
    for form, streams in {'dense': plain.dense(values), **plain.sparse(values)}.items():
        back = plain.READERS[form](streams, values.dtype, values.shape)
        assert back.dtype == values.dtype and back.shape == values.shape and back.tobytes() == values.tobytes()


@pytest.mark.parametrize(('share', 'expected'), [(0.0, 'dense'), (0.5, 'bitmap'), (0.85, 'delta')])
@pytest.mark.parametrize('size', [3000, 30000])
def test_the_form_fits_the_share_of_zeros(share, expected, size):
    values = sparse_tensor(share, size)
    form, streams = plain.smallest(values)
    assert form == expected
    sizes = map(plain.num_stored, [plain.dense(values), *plain.sparse(values).values()])
    assert plain.num_stored(streams) == min(sizes)


def test_scalars_and_nothing():
    for values in (np.float32(3), np.float32(0), np.zeros((0, 4), np.float32)):
        form, streams = plain.smallest(np.asarray(values))
        assert plain.READERS[form](streams, FLOAT, np.shape(values)).tobytes() == values.tobytes()


def test_streams_that_do_not_fit_are_refused_before_they_are_read():
    places, values = plain.sparse(sparse_tensor(0.5))['bitmap']
    huge = dataclasses.replace(values, num_raw=2**33)
    with pytest.raises(UnreadableError, match='a stream of 8589934592 bytes where'):
        plain.read_bitmap([places, huge], FLOAT, (100, 30))
    with pytest.raises(UnreadableError, match='where 376 are needed'):
        plain.read_bitmap([places, values], FLOAT, (3001,))
    with pytest.raises(UnreadableError, match='where 12000 are needed'):
        plain.read_dense([values], FLOAT, (100, 30))


def test_places_outside_the_tensor_are_refused():
    gaps, value = compress(bytes([5])), plain.coded(np.ones(1, np.float32))
    assert plain.read_delta([gaps, value], FLOAT, (6,)).tolist() == [0, 0, 0, 0, 0, 1]
    with pytest.raises(UnreadableError, match='place 5 of a tensor of 5'):
        plain.read_delta([gaps, value], FLOAT, (5,))
    with pytest.raises(UnreadableError, match='3 gaps in a tensor of 2'):
        plain.read_delta([compress(bytes(3)), value], FLOAT, (2,))
