"""Grid, rounding and bytes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.utils.distributed.gradient_compression.codec import (
    Codec,
    codes_per_byte,
    grid_values,
    pack_codes,
    stochastic_codes,
    unpack_codes,
)


def test_bytes_hold_as_many_codes_as_fit():
    assert [codes_per_byte(count) for count in (3, 4, 16, 256)] == [5, 4, 2, 1]


@pytest.mark.parametrize(
    ('num_codes', 'codes', 'byte'),
    [
        (3, [2, 0, 1, 1, 2], 2 * 81 + 0 * 27 + 1 * 9 + 1 * 3 + 2),
        (4, [3, 0, 2, 1], 0b11001001),
        (16, [10, 3], 0xA3),
        (256, [200], 200),
    ],
)
def test_codes_are_the_digits_of_a_byte(num_codes, codes, byte):
    packed = pack_codes(tf.constant(codes, tf.float32), num_codes)
    assert packed.dtype == tf.uint8 and packed.numpy().tolist() == [byte]
    assert unpack_codes(packed, num_codes).numpy().tolist() == codes


def test_grid_by_hand():
    codes, scales = tf.constant([[0.0, 1, 2]]), tf.constant([0.5])
    np.testing.assert_allclose(grid_values(codes, scales, 3), [[-0.5, 0, 0.5]])
    np.testing.assert_allclose(
        grid_values(tf.constant([[0.0, 1, 2, 3]]), tf.constant([3.0]), 4), [[-3, -1, 1, 3]], rtol=1e-6
    )


def test_rounding_by_hand():
    values, scales = tf.constant([[0.25, -0.5, 1.0, -1.0]]), tf.constant([1.0])

    def codes(uniform: float) -> list[float]:
        return stochastic_codes(values, scales, 3, tf.fill(values.shape, uniform)).numpy()[0].tolist()

    assert codes(0.0) == [1, 0, 2, 0]  # 0.25 is position 1.25, -0.5 is 0.5
    assert codes(0.6) == [1, 1, 2, 0]
    assert codes(0.8) == [2, 1, 2, 0]
    assert codes(0.9999) == [2, 1, 2, 0]  # the ends stay where they are


@pytest.mark.parametrize('num_codes', [3, 4, 16])
def test_rounding_is_unbiased(num_codes):
    values = tf.constant([[0.31, -0.77, 0.05, 1.0]] * 40000)
    scales = tf.ones(40000)
    uniform = tf.random.stateless_uniform(values.shape, [1, 2])
    codes = stochastic_codes(values, scales, num_codes, uniform)
    assert set(np.unique(codes)) <= set(range(num_codes))
    mean = tf.reduce_mean(grid_values(codes, scales, num_codes), axis=0)
    # The standard error of a mean of 40,000 is at most half a grid step / 200.
    np.testing.assert_allclose(mean, values[0], atol=4 * (1 / (num_codes - 1)) / 200)


@pytest.mark.parametrize('num_codes', [3, 4, 16, 256])
def test_what_is_decoded_is_on_the_grid_and_near(num_codes):
    codec = Codec(length=101, num_codes=num_codes, bucket_size=16)
    vector = np.random.default_rng(0).normal(size=101).astype(np.float32)
    vector[16:32] = 0
    content = codec.encode(tf.constant(vector), tf.constant([3, 4]))
    assert content.dtype == tf.uint8 and content.shape == (codec.num_bytes,)
    assert codec.num_bytes == -(-101 // codes_per_byte(num_codes)) + 4 * 7
    decoded = codec.decode(tf.stack([content, content])).numpy()
    np.testing.assert_array_equal(decoded[0], decoded[1])
    scales = np.abs(np.pad(vector, (0, 11)).reshape(7, 16)).max(1)
    assert (np.abs(decoded[0] - vector) <= np.repeat(2 * scales / (num_codes - 1), 16)[:101] + 1e-6).all()
    np.testing.assert_array_equal(decoded[0][16:32], 0)


def test_rounding_is_decided_by_the_seed():
    codec = Codec(64, 3, 64)
    vector = tf.constant(np.random.default_rng(0).normal(size=64).astype(np.float32))
    one, same, other = (codec.encode(vector, tf.constant(seed)).numpy() for seed in ([1, 2], [1, 2], [1, 3]))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
