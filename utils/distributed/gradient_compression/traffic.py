"""How many bytes and messages gradients take per step, and how long these are on their way."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import tensorflow as tf

from pocketflow.utils.distributed.gradient_compression.codec import Codec
from pocketflow.utils.distributed.gradient_compression.exchanges import bytes_received, choose_exchange
from pocketflow.utils.distributed.gradient_compression.options import NB_CODES, CompressionOptions


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How many numbers a network's gradients have: in kernels, and in all other variables."""

    kernels: int
    others: int

    @classmethod
    def of(cls, variables: Sequence[tf.Variable]) -> Sizes:
        sizes = [(len(variable.shape) > 1, math.prod(variable.shape)) for variable in variables]
        return cls(sum(size for large, size in sizes if large), sum(size for large, size in sizes if not large))


def bytes_per_step(options: CompressionOptions, sizes: Sizes, nb_workers: int) -> float:
    """Bytes that each worker receives per step; docs/gradient_compression.md has the formulas.

    >>> bytes_per_step(CompressionOptions(), Sizes(100, 0), 2)
    400.0
    """
    if options.kind != 'ecq':
        return _all_reduce((2 if options.kind == 'fp16' else 4) * (sizes.kernels + sizes.others), nb_workers)
    exchange = choose_exchange(options.exchange, nb_workers)
    nb_chunks = nb_workers if exchange == 'chunked' else 1
    codec = Codec(-(-sizes.kernels // nb_chunks), NB_CODES[options.bits], options.bucket_size)
    return (bytes_received(exchange, codec.nb_bytes * nb_chunks, nb_workers)
            + _all_reduce(4 * sizes.others, nb_workers))


def _all_reduce(nb_bytes: int, nb_workers: int) -> float:
    """A ring all-reduce goes chunk by chunk, too."""
    return bytes_received('chunked', nb_bytes, nb_workers)


def nb_messages(options: CompressionOptions, nb_workers: int) -> int:
    """How many messages follow each other per step.

    A ring takes N - 1 of them to gather, and twice as many to reduce. The chunked exchange sends N - 1 chunks and
    gathers the means; with `ecq` biases and the like are reduced besides.

    >>> nb_messages(CompressionOptions(), 5), nb_messages(CompressionOptions(kind='ecq', exchange='gather'), 5)
    (8, 12)
    """
    rounds = 2
    if options.kind == 'ecq':
        rounds += 2 if choose_exchange(options.exchange, nb_workers) == 'chunked' else 1
    return rounds * (nb_workers - 1)


@dataclasses.dataclass(frozen=True)
class Link:
    """A network.

    Attributes:
      bandwidth: bits per second that each worker can receive.
      latency: seconds that a message takes, however short it is.
    """

    bandwidth: float
    latency: float

    def milliseconds(self, nb_bytes: float, messages: int) -> float:
        """How long messages that follow each other take with so many bytes in all."""
        return 1000 * (8 * nb_bytes / self.bandwidth + self.latency * messages)
