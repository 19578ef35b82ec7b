"""Bytes, messages and transfer time of the gradients per step."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import tensorflow as tf

from pocketflow.utils.distributed.gradient_compression.codec import Codec
from pocketflow.utils.distributed.gradient_compression.exchanges import bytes_received, choose_exchange
from pocketflow.utils.distributed.gradient_compression.low_rank import is_worthwhile, matrix_shape
from pocketflow.utils.distributed.gradient_compression.options import NUM_CODES, CompressionOptions


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Number of gradient elements of a network: in kernels, and in all other variables.

    Attributes:
      shapes: the shapes of all gradients, which only powersgd depends on.
    """

    kernels: int
    others: int
    shapes: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def of(cls, variables: Sequence[tf.Variable]) -> Sizes:
        shapes = tuple(tuple(variable.shape) for variable in variables)
        sizes = [(len(shape) > 1, math.prod(shape)) for shape in shapes]
        return cls(sum(size for large, size in sizes if large), sum(size for large, size in sizes if not large), shapes)


def bytes_per_step(options: CompressionOptions, sizes: Sizes, num_workers: int) -> float:
    """Bytes received per worker and step; docs/gradient_compression.md has the formulas.

    >>> bytes_per_step(CompressionOptions(), Sizes(100, 0), 2)
    400.0
    """
    if options.kind == 'powersgd':
        return _all_reduce(4 * sum(_low_rank_elements(shape, options.rank) for shape in sizes.shapes), num_workers)
    if options.kind != 'ecq':
        return _all_reduce((2 if options.kind == 'fp16' else 4) * (sizes.kernels + sizes.others), num_workers)
    exchange = choose_exchange(options.exchange, num_workers)
    num_chunks = num_workers if exchange == 'chunked' else 1
    codec = Codec(-(-sizes.kernels // num_chunks), NUM_CODES[options.bits], options.bucket_size)
    return bytes_received(exchange, codec.num_bytes * num_chunks, num_workers) + _all_reduce(
        4 * sizes.others, num_workers
    )


def _low_rank_elements(shape: tuple[int, ...], rank: int) -> int:
    """Elements of both factors of a gradient, or of the gradient if it is not compressed."""
    return rank * sum(matrix_shape(shape)) if is_worthwhile(shape, rank) else math.prod(shape)


def _all_reduce(num_bytes: int, num_workers: int) -> float:
    """Bytes received per worker in a ring all-reduce, which is chunked, too."""
    return bytes_received('chunked', num_bytes, num_workers)


def num_messages(options: CompressionOptions, num_workers: int) -> int:
    """Number of sequential messages per step.

    A ring takes N - 1 messages for an all-gather, and twice as many for an all-reduce. The chunked exchange sends N - 1
    chunks and gathers the means; `ecq` additionally reduces the gradients that are not compressed. `powersgd` makes two
    all-reduces, the second with the result of the first.

    >>> num_messages(CompressionOptions(), 5), num_messages(CompressionOptions(kind='ecq', exchange='gather'), 5)
    (8, 12)
    """
    rounds = 4 if options.kind == 'powersgd' else 2
    if options.kind == 'ecq':
        rounds += 2 if choose_exchange(options.exchange, num_workers) == 'chunked' else 1
    return rounds * (num_workers - 1)


@dataclasses.dataclass(frozen=True)
class Link:
    """A network connection.

    Attributes:
      bandwidth: bits per second that each worker can receive.
      latency: seconds per message in addition to the transfer of its bytes.
    """

    bandwidth: float
    latency: float

    def milliseconds(self, num_bytes: float, messages: int) -> float:
        """Milliseconds of sequential messages with `num_bytes` in all."""
        return 1000 * (8 * num_bytes / self.bandwidth + self.latency * messages)
