"""The choice of an entropy coder, and its bounds."""

from __future__ import annotations

import dataclasses
import time
import zlib

import numpy as np
import pytest

from pocketflow.utils.container.entropy import CODERS, Stream, compress, decompress
from pocketflow.utils.container.errors import UnreadableError

NOISE = np.random.default_rng(0).bytes(2000)
REPEATED = NOISE[:300] * 20
SAMPLES = (NOISE, b'a' * 40 + b'b', bytes(10**5))
SKEWED = np.random.default_rng(1).binomial(1, 0.02, 4000).astype(np.uint8).tobytes()


@pytest.mark.parametrize('raw', [b'', b'a', NOISE, REPEATED, SKEWED, bytes(10**5)])
def test_what_goes_in_comes_out(raw):
    stream = compress(raw)
    assert stream.num_raw == len(raw) and len(stream.payload) <= len(raw)
    assert decompress(stream) == raw


def test_each_coder_is_chosen_where_it_is_best():
    chosen = {compress(raw).coder for raw in SAMPLES}
    assert chosen == set(CODERS)


def test_gaussian_codes_come_near_their_entropy():
    codes = np.clip(np.round(np.random.default_rng(0).normal(8, 2.3, 36864)), 0, 15).astype(np.uint8)
    shares = np.bincount(codes) / codes.size
    entropy = -np.sum(shares[shares > 0] * np.log2(shares[shares > 0]))
    assert 8 * len(compress(codes.tobytes()).payload) / codes.size < 1.03 * entropy


def test_parts_with_statistics_of_their_own_are_coded_apart():
    raw = bytes(2000) + NOISE
    assert len(compress(raw, 2).payload) < len(NOISE) + 50


@pytest.mark.parametrize('coder', CODERS)
@pytest.mark.parametrize('change', [lambda p: p[:-1], lambda p: p + b'\0', lambda p: b'', lambda p: b'\xff' * 9])
def test_damage_is_noticed(coder, change):
    stream = next(s for s in map(compress, SAMPLES) if s.coder == coder)
    with pytest.raises(UnreadableError, match=coder):
        decompress(dataclasses.replace(stream, payload=change(bytes(stream.payload))))


@pytest.mark.parametrize('difference', [-1, 1])
def test_the_number_of_bytes_must_be_exact(difference):
    for raw in SAMPLES:
        stream = compress(raw)
        with pytest.raises(UnreadableError, match='does not hold'):
            decompress(dataclasses.replace(stream, num_raw=stream.num_raw + difference))


def test_an_unknown_coder_is_refused():
    with pytest.raises(UnreadableError, match="coder 'zip'; known: stored, deflate, lzma"):
        decompress(Stream('zip', 1, b'a'))


def test_a_bomb_is_not_blown_up():
    coder = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b''.join(coder.compress(bytes(2**24)) for _ in range(16)) + coder.flush()
    start = time.process_time()
    with pytest.raises(UnreadableError, match='does not hold 10 bytes'):
        decompress(Stream('deflate', 10, bomb))
    assert time.process_time() - start < 0.1
