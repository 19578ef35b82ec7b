"""Stochastic uniform quantization of vectors per bucket, and packing of the codes into bytes."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import tensorflow as tf


def codes_per_byte(num_codes: int) -> int:
    """Number of codes in [0, num_codes) per byte.

    >>> [codes_per_byte(count) for count in (3, 4, 16, 256)]
    [5, 4, 2, 1]
    """
    count = 1
    while num_codes ** (count + 1) <= 256:
        count += 1
    return count


@functools.cache
def digit_table(num_codes: int) -> np.ndarray:
    """Decoding table, float32 `[256, codes per byte]`: the codes in each byte, the most significant first."""
    count = codes_per_byte(num_codes)
    powers = num_codes ** np.arange(count)[::-1]
    return (np.arange(256)[:, None] // powers % num_codes).astype(np.float32)


def pack_codes(codes: tf.Tensor, num_codes: int) -> tf.Tensor:
    """Packs codes (float32 `[n]`, integral values in [0, num_codes), n a multiple of the codes per byte) to uint8."""
    count = codes_per_byte(num_codes)
    powers = tf.constant(num_codes ** np.arange(count)[::-1], tf.float32)
    return tf.cast(tf.linalg.matvec(tf.reshape(codes, (-1, count)), powers), tf.uint8)


def unpack_codes(packed: tf.Tensor, num_codes: int) -> tf.Tensor:
    """The inverse of `pack_codes`; returns float32 `[n]`."""
    return tf.reshape(tf.gather(tf.constant(digit_table(num_codes)), tf.cast(packed, tf.int32)), [-1])


def stochastic_codes(values: tf.Tensor, scales: tf.Tensor, num_codes: int, uniform: tf.Tensor) -> tf.Tensor:
    """Unbiased stochastic rounding to the grid of `num_codes` points on [-scale, scale].

    code = floor((x / scale + 1) / 2 * (num_codes - 1) + u) with u uniform in [0, 1), so that the expectation of
    `grid_values(code)` is x (Alistarh et al. 2017, https://arxiv.org/abs/1610.02132, section 3.1; Wu et al. 2018,
    https://arxiv.org/abs/1806.08054, equation 4).

    Args:
      values: `[buckets, size]`.
      scales: `[buckets]`, the largest magnitude of each bucket; 0 is treated as 1.
      num_codes: number of grid points.
      uniform: random numbers in [0, 1), of the shape of `values`.

    Returns:
      float32 integral values in [0, num_codes), of the shape of `values`.
    """
    safe = tf.where(scales > 0, scales, 1.0)[:, None]
    position = (values / safe + 1) * (0.5 * (num_codes - 1)) + uniform
    return tf.clip_by_value(tf.floor(position), 0.0, num_codes - 1.0)


def grid_values(codes: tf.Tensor, scales: tf.Tensor, num_codes: int) -> tf.Tensor:
    """Decodes codes `[..., buckets, size]`: (2 code / (num_codes - 1) - 1) * scale of the bucket."""
    return (codes * (2 / (num_codes - 1)) - 1) * scales[..., None]


@dataclasses.dataclass(frozen=True)
class Codec:
    """Encodes vectors of `length` float32 numbers to bytes, and decodes them.

    Attributes:
      length: numbers per vector.
      num_codes: number of grid points.
      bucket_size: number of values that share a scale.
    """

    length: int
    num_codes: int
    bucket_size: int

    @property
    def num_buckets(self) -> int:
        return -(-self.length // self.bucket_size)

    @property
    def num_code_bytes(self) -> int:
        return -(-self.length // codes_per_byte(self.num_codes))

    @property
    def num_bytes(self) -> int:
        """Bytes of one encoded vector: codes and a float32 scale per bucket."""
        return self.num_code_bytes + 4 * self.num_buckets

    def encode(self, vector: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Encodes float32 `[length]` to uint8 `[num_bytes]`; `seed` (int `[2]`) seeds the stochastic rounding."""
        padded = tf.pad(vector, [[0, self.num_buckets * self.bucket_size - self.length]])
        buckets = tf.reshape(padded, (self.num_buckets, self.bucket_size))
        scales = tf.reduce_max(tf.abs(buckets), axis=1)
        uniform = tf.random.stateless_uniform(tf.shape(buckets), seed)
        codes = tf.reshape(stochastic_codes(buckets, scales, self.num_codes, uniform), [-1])[: self.length]
        num_missing = self.num_code_bytes * codes_per_byte(self.num_codes) - self.length
        packed = pack_codes(tf.pad(codes, [[0, num_missing]]), self.num_codes)
        return tf.concat([packed, tf.reshape(tf.bitcast(scales, tf.uint8), [-1])], 0)

    def decode(self, content: tf.Tensor) -> tf.Tensor:
        """Decodes uint8 `[vectors, num_bytes]` to float32 `[vectors, length]`."""
        num_vectors = content.shape[0]
        codes = unpack_codes(tf.reshape(content[:, : self.num_code_bytes], [-1]), self.num_codes)
        num_missing = self.num_buckets * self.bucket_size - self.length
        codes = tf.pad(tf.reshape(codes, (num_vectors, -1))[:, : self.length], [[0, 0], [0, num_missing]])
        scales = tf.bitcast(
            tf.reshape(content[:, self.num_code_bytes :], (num_vectors, self.num_buckets, 4)), tf.float32
        )
        codes = tf.reshape(codes, (num_vectors, self.num_buckets, self.bucket_size))
        return tf.reshape(grid_values(codes, scales, self.num_codes), (num_vectors, -1))[:, : self.length]
