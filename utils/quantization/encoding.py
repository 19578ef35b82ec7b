"""Encodings: quantized weights in the form in which they are stored and decoded.

A weight tensor is divided into buckets, each with a separate grid or code book. The float value of a code is defined in
this module only, in float32 and in a fixed order of operations, so that decoding is bit-identical everywhere.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

BUCKET_KINDS = ('tensor', 'channel', 'split')


def largest_symmetric_code(bits: int) -> int:
    """The largest code of a grid of `bits` bits that is symmetric about 0.

    >>> largest_symmetric_code(8), largest_symmetric_code(4)
    (127, 7)
    """
    return (1 << (bits - 1)) - 1


@dataclasses.dataclass(frozen=True)
class Buckets:
    """Division of a weight tensor into buckets.

    Attributes:
      kind: 'tensor' (one bucket), 'channel' (one per output channel) or 'split' (consecutive runs of `size` elements
        of the flattened tensor; the last one is padded with copies of the last element).
      size: elements per bucket, for 'split'.
      num_channel_axes: for 'channel', the number of last axes that index the output channels: 1, or 2 for depthwise
        kernels [height, width, channels, multiplier].
    """

    kind: str = 'tensor'
    size: int = 0
    num_channel_axes: int = 1

    def __post_init__(self) -> None:
        if self.kind not in BUCKET_KINDS:
            raise ValueError(f'bucket kind {self.kind!r}; known: {", ".join(BUCKET_KINDS)}')
        if self.kind == 'split' and self.size < 1:
            raise ValueError(f'buckets of {self.size} elements; at least 1')

    def matrix_shape(self, shape: Sequence[int]) -> tuple[int, int]:
        """(elements per bucket, buckets) for a tensor of this shape."""
        num_values = math.prod(shape)
        match self.kind:
            case 'channel':
                num_buckets = math.prod(shape[-self.num_channel_axes :])
                return num_values // num_buckets, num_buckets
            case 'split':
                return self.size, -(-num_values // self.size)
            case _:
                return num_values, 1

    def matrix(self, values: Any) -> Any:
        """The tensor (NumPy or TensorFlow, of static shape), reshaped to [elements per bucket, buckets]."""
        length, num_buckets = self.matrix_shape(values.shape)
        if self.kind != 'split':
            return tf.reshape(values, (length, num_buckets)) if tf.is_tensor(values) else values.reshape(length, -1)
        num_missing = length * num_buckets - math.prod(values.shape)
        if tf.is_tensor(values):
            flat = tf.reshape(values, [-1])
            return tf.transpose(tf.reshape(tf.concat([flat, tf.repeat(flat[-1:], num_missing)], 0), (-1, length)))
        flat = values.reshape(-1)
        return np.concatenate([flat, np.repeat(flat[-1:], num_missing)]).reshape(-1, length).T

    def tensor(self, matrix: Any, shape: Sequence[int]) -> Any:
        """The inverse of `matrix` for a tensor of this shape."""
        shape = tuple(int(size) for size in shape)
        if self.kind != 'split':
            return tf.reshape(matrix, shape) if tf.is_tensor(matrix) else matrix.reshape(shape)
        num_values = math.prod(shape)
        if tf.is_tensor(matrix):
            return tf.reshape(tf.reshape(tf.transpose(matrix), [-1])[:num_values], shape)
        return matrix.T.reshape(-1)[:num_values].reshape(shape)


@dataclasses.dataclass(frozen=True, eq=False)
class AffineEncoding:
    """Codes on an evenly spaced grid: value = float32(code) * scale + offset, in this order, for each bucket.

    Attributes:
      codes: unsigned integers in [0, 2^bits), of the tensor's shape.
      bits: 1..16.
      buckets: division of the tensor into buckets.
      scales, offsets: float32 [number of buckets].
      zero_code: the code of zero on a symmetric grid (then offset = -zero_code * scale is not stored, and value =
        float32(code - zero_code) * scale); `None` on an asymmetric one.
    """

    codes: np.ndarray
    bits: int
    buckets: Buckets
    scales: np.ndarray
    offsets: np.ndarray | None = None
    zero_code: int | None = None

    def __post_init__(self) -> None:
        if (self.offsets is None) == (self.zero_code is None):
            raise ValueError('give either offsets (asymmetric) or a zero_code (symmetric)')

    def decode(self) -> np.ndarray:
        """Returns the decoded float32 tensor."""
        codes = self.buckets.matrix(self.codes)
        if self.zero_code is not None:
            matrix = (codes.astype(np.int32) - self.zero_code).astype(np.float32) * self.scales
        else:
            matrix = codes.astype(np.float32) * self.scales + self.offsets
        decoded: np.ndarray = self.buckets.tensor(matrix.astype(np.float32), self.codes.shape)
        return decoded


@dataclasses.dataclass(frozen=True, eq=False)
class CodebookEncoding:
    """Codes that are indices into a code book per bucket: value = codebooks[bucket, code].

    Attributes:
      codes: unsigned integers in [0, 2^bits), of the tensor's shape.
      bits: 1..16.
      buckets: division of the tensor into buckets.
      codebooks: float32 [number of buckets, 2^bits].
    """

    codes: np.ndarray
    bits: int
    buckets: Buckets
    codebooks: np.ndarray

    def decode(self) -> np.ndarray:
        """Returns the decoded float32 tensor."""
        codes = self.buckets.matrix(self.codes)
        matrix = np.take_along_axis(self.codebooks.T, codes.astype(np.int64), axis=0)
        decoded: np.ndarray = self.buckets.tensor(matrix, self.codes.shape)
        return decoded


Encoding = AffineEncoding | CodebookEncoding
"""Encodings of a model: `{layer name: encoding of that layer's kernel}`."""

KERNEL_NAMES = ('depthwise_kernel', 'kernel', 'pointwise_kernel')
"""Names of kernel attributes; a separable convolution has the first and the last."""


def kernel_name(layer: Any) -> str | None:
    """Name of the attribute of a layer's (first) kernel, or `None` if it has none."""
    return next((name for name in KERNEL_NAMES if getattr(layer, name, None) is not None), None)


def known_kernel_name(layer: Any) -> str:
    """As `kernel_name`, for a layer that is known to have a kernel."""
    name = kernel_name(layer)
    assert name is not None, f'layer {layer.name!r} has no kernel'
    return name


SCALING_LAYERS = frozenset(
    (
        'BatchNormalization',
        'SyncBatchNormalization',
        'LayerNormalization',
        'GroupNormalization',
        'Normalization',
        'PReLU',
    )
)
"""Layer types whose weights only scale and shift."""


def kernels(layer: Any) -> list[Any]:
    """All weights of a layer that are factors of matrix products: kernels and embeddings, also of nested layers.

    Weights are selected by name, because biases may have several axes, too, as those of a GRU or of attention heads.
    """
    if type(layer).__name__ in SCALING_LAYERS:
        return []
    return [weight for weight in layer.weights if len(weight.shape) > 1 and 'bias' not in weight.name.split('/')[-1]]


@dataclasses.dataclass(frozen=True)
class KernelStatistics:
    """Share of zeros among all weights of all kernels, and mean bits per weight."""

    sparsity: float
    bits: float


def kernel_statistics(model: Any, widths: Mapping[str, int]) -> KernelStatistics:
    """Sparsity and mean bits per weight of a model's kernels.

    Args:
      model: a Keras model of plain layers.
      widths: layer name -> bits per weight of the layer's (first) kernel; other kernels have those of their type.
    """
    num_weights = num_zeros = num_bits = 0
    for layer in model.layers:
        first = getattr(layer, kernel_name(layer) or '', None)
        for weight in kernels(layer):
            kernel = weight.numpy()
            bits = widths.get(layer.name, 8 * kernel.itemsize) if weight is first else 8 * kernel.itemsize
            num_weights += kernel.size
            num_zeros += kernel.size - np.count_nonzero(kernel)
            num_bits += kernel.size * bits
    return KernelStatistics(num_zeros / max(num_weights, 1), num_bits / max(num_weights, 1))
