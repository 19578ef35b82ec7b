"""Quantizers: rounding of float tensors to values that fewer bits can represent.

All have two methods: `quantize`, used in training, with straight-through gradients; and `encode`, which returns the
stored integers. Decoded encodings equal the values of `quantize`. The bit width is a variable, so that it can change
without retracing the training step; it is created by the layer that owns the quantizer.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.quantization import codebooks, grids
from pocketflow.utils.quantization.encoding import (
    AffineEncoding,
    Buckets,
    CodebookEncoding,
    Encoding,
    largest_symmetric_code,
)

AddWeight = Callable[..., tf.Variable]


def code_type(bits: int) -> np.dtype:
    """The smallest unsigned integer type for codes of so many bits."""
    return np.min_scalar_type(2**bits - 1)


class Quantizer(abc.ABC):
    """Base class of quantizers: the bit width, and the configuration.

    Args:
      bits: the initial width.

    Attributes:
      bits: the width, once `build` has been called.
    """

    bits: tf.Variable

    def __init__(self, bits: int):
        self._initial_bits = bits

    def build(self, add_weight: AddWeight, shape: Sequence[int]) -> None:
        """Creates the variables.

        Args:
          add_weight: the owning layer's `add_weight`.
          shape: of the tensors to be quantized.
        """
        self.bits = add_weight(
            name='bits',
            shape=(),
            dtype='int32',
            trainable=False,
            initializer=keras.initializers.Constant(self._initial_bits),
        )

    @abc.abstractmethod
    def quantize(self, values: tf.Tensor) -> tf.Tensor:
        """The quantized values, of the same shape, with gradients for training."""

    @abc.abstractmethod
    def encode(self, values: np.ndarray) -> Encoding:
        """The codes of these values."""

    def get_config(self) -> dict[str, Any]:
        return {'bits': self._initial_bits}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Quantizer:
        return cls(**config)


def as_buckets(buckets: Buckets | dict[str, Any]) -> Buckets:
    return Buckets(**buckets) if isinstance(buckets, dict) else buckets


@keras.saving.register_keras_serializable(package='PocketFlow')
class UniformQuantizer(Quantizer):
    """Quantizes activations on one grid, whose range is a moving average in training and fixed in inference.

    Zero is a grid point. Values outside the range are clipped and have no gradient.

    Args:
      bits: 2..32.
      momentum: of the moving averages of the least and the greatest value.

    Attributes:
      low, high: the range, once `build` has been called.
    """

    low: tf.Variable
    high: tf.Variable

    def __init__(self, bits: int, momentum: float = 0.99):
        super().__init__(bits)
        self.momentum = momentum

    def build(self, add_weight: AddWeight, shape: Sequence[int]) -> None:
        super().build(add_weight, shape)
        self.low, self.high = (
            add_weight(name=name, shape=(), dtype='float32', trainable=False, initializer='zeros')
            for name in ('low', 'high')
        )

    def observe(self, values: tf.Tensor) -> None:
        """Updates the moving averages of the range with a training batch."""
        for variable, seen in ((self.low, tf.reduce_min(values)), (self.high, tf.reduce_max(values))):
            variable.assign(self.momentum * variable + (1 - self.momentum) * tf.cast(seen, tf.float32))

    def quantize(self, values: tf.Tensor) -> tf.Tensor:
        return grids.round_to_range(values, *(tf.cast(number, values.dtype) for number in self._grid()))

    def encode(self, values: np.ndarray) -> AffineEncoding:
        scale, least, greatest = (number.numpy() for number in self._grid())
        codes = np.clip(np.round(values / scale), least, greatest).astype(np.int64) - int(least)
        bits = int(self.bits)
        return AffineEncoding(
            codes.astype(code_type(bits)), bits, Buckets(), np.reshape(scale, 1), zero_code=-int(least)
        )

    def _grid(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        return grids.range_grid(self.low, self.high, self.bits)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), 'momentum': self.momentum}


@keras.saving.register_keras_serializable(package='PocketFlow')
class BucketQuantizer(Quantizer):
    """Quantizes weights on evenly spaced grids, one per bucket, over the range of the bucket's current values.

    Q(w) = alpha round((w - beta) / alpha (2^k - 1)) / (2^k - 1) + beta, with alpha = max w - min w, beta = min w;
    symmetric: Q(w) = s round(w / s), with s = max |w| / (2^(k-1) - 1), which has zero on the grid.

    Args:
      bits: 1..16; symmetric: 2..16.
      buckets: division of the weights into buckets.
      symmetric: whether the grid is the symmetric one.
    """

    def __init__(self, bits: int, buckets: Buckets | dict[str, Any], symmetric: bool = False):
        super().__init__(bits)
        self.buckets, self.symmetric = as_buckets(buckets), symmetric

    def quantize(self, values: tf.Tensor) -> tf.Tensor:
        values = tf.convert_to_tensor(values)
        codes, scales, offsets = self._codes(self.buckets.matrix(values))
        matrix = codes * scales if offsets is None else codes * scales + offsets
        return grids.straight_through(values, self.buckets.tensor(matrix, values.shape))

    def encode(self, values: np.ndarray) -> AffineEncoding:
        codes, scales, offsets = self._codes(self.buckets.matrix(tf.convert_to_tensor(values)))
        codes = self.buckets.tensor(codes.numpy(), values.shape)
        bits = int(self.bits)
        zero_code = largest_symmetric_code(bits) if self.symmetric else None
        return AffineEncoding(
            (codes + (zero_code or 0)).astype(code_type(bits)),
            bits,
            self.buckets,
            scales.numpy(),
            None if offsets is None else offsets.numpy(),
            zero_code,
        )

    def _codes(self, matrix: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
        """(codes of the matrix's shape, scales, offsets), all float32; symmetric grids have no offsets."""
        if self.symmetric:
            scales = grids.symmetric_grid(matrix, self.bits)
            return tf.round(matrix / scales), scales, None
        scales, offsets = grids.min_max_grid(matrix, self.bits)
        return tf.round((matrix - offsets) / scales), scales, offsets

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), 'buckets': dataclasses.asdict(self.buckets), 'symmetric': self.symmetric}


@keras.saving.register_keras_serializable(package='PocketFlow')
class CodebookQuantizer(Quantizer):
    """Quantizes weights to the nearest entry of the trainable code book of their bucket (Han et al. 2016).

    Q(w) = alpha c[j] + beta, where c[j] is nearest to (w - beta) / alpha, with alpha = max w - min w, beta = min w.

    Args:
      bits: 1..8; a code book has 2^bits entries.
      buckets: division of the weights into buckets.
      style: initialisation of the code books, see `codebooks.initial_codebooks`.
      max_bits: the greatest width to which `bits` may be changed; default: `bits`.

    Attributes:
      codebooks: `[buckets, 2**max_bits]`, once `build` has been called.
    """

    codebooks: tf.Variable

    def __init__(
        self, bits: int, buckets: Buckets | dict[str, Any], style: str = 'quantile', max_bits: int | None = None
    ):
        super().__init__(bits)
        self.buckets, self.style, self.max_bits = as_buckets(buckets), style, max_bits or bits

    def build(self, add_weight: AddWeight, shape: Sequence[int]) -> None:
        super().build(add_weight, shape)
        _, num_buckets = self.buckets.matrix_shape(shape)
        self.codebooks = add_weight(
            name='codebooks', shape=(num_buckets, 2**self.max_bits), dtype='float32', initializer='zeros'
        )

    def reset(self, values: np.ndarray) -> None:
        """Fits the code books to these weights; must be called before use and after each change of `bits`."""
        rows, span, low = self._normalised(tf.convert_to_tensor(values))
        num_entries = 2 ** int(self.bits)
        fitted = codebooks.fit_codebooks(rows.numpy(), num_entries, self.style)
        unused = np.ones((len(fitted), self.codebooks.shape[1] - num_entries), np.float32)
        self.codebooks.assign(np.concatenate([fitted, unused], axis=1))

    def quantize(self, values: tf.Tensor) -> tf.Tensor:
        values = tf.convert_to_tensor(values)
        rows, span, low = self._normalised(tf.stop_gradient(values))
        books = self._sorted()
        places = codebooks.nearest_entries(rows, books)
        rows = codebooks.look_up(tf.transpose(self.buckets.matrix(values)), books * span + low, places)
        return self.buckets.tensor(tf.transpose(rows), values.shape)

    def encode(self, values: np.ndarray) -> CodebookEncoding:
        rows, span, low = self._normalised(tf.convert_to_tensor(values))
        books = self._sorted()
        places = codebooks.nearest_entries(rows, books).numpy().T
        bits = int(self.bits)
        return CodebookEncoding(
            self.buckets.tensor(places.astype(code_type(bits)), values.shape),
            bits,
            self.buckets,
            (books * span + low).numpy(),
        )

    def _sorted(self) -> tf.Tensor:
        """The used entries of the code books, sorted, because training may change their order."""
        return tf.sort(self.codebooks[:, : tf.bitwise.left_shift(1, self.bits)], axis=1)

    def _normalised(self, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Weights as [buckets, elements] in [0, 1], and alpha and beta, float32 [buckets, 1]."""
        rows = tf.transpose(self.buckets.matrix(values))
        low = tf.reduce_min(rows, axis=1, keepdims=True)
        span = tf.reduce_max(rows, axis=1, keepdims=True) - low
        return (rows - low) / tf.where(span > 0, span, tf.ones_like(span)), span, low

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            'buckets': dataclasses.asdict(self.buckets),
            'style': self.style,
            'max_bits': self.max_bits,
        }
