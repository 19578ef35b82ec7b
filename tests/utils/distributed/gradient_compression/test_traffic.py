"""Bytes, messages and milliseconds by hand."""

from __future__ import annotations

import pytest
import tensorflow as tf

from pocketflow.utils.distributed.gradient_compression import CompressionOptions
from pocketflow.utils.distributed.gradient_compression.traffic import Link, Sizes, bytes_per_step, num_messages

SIZES = Sizes(kernels=1000, others=10, shapes=((3, 3, 2, 20), (7,)))
POWERSGD = CompressionOptions(kind='powersgd', rank=2)
VECTOR = 200 + 4 * 2
"""1000 ternary codes, five to a byte, with a scale for each 512."""


def ecq(exchange: str) -> CompressionOptions:
    return CompressionOptions(kind='ecq', exchange=exchange)


def test_sizes():
    assert Sizes.of([tf.Variable(tf.zeros((3, 3, 2, 4))), tf.Variable(tf.zeros(4)), tf.Variable(1.0)]) == Sizes(
        72, 5, ((3, 3, 2, 4), (4,), ())
    )


@pytest.mark.parametrize(
    ('options', 'num_workers', 'num_bytes'),
    [
        (CompressionOptions(), 2, 4040),
        (CompressionOptions(), 4, 6060),
        (CompressionOptions(kind='fp16'), 4, 3030),
        (ecq('gather'), 2, VECTOR + 40),
        (ecq('gather'), 4, 3 * VECTOR + 60),
        (ecq('auto'), 4, 3 * VECTOR + 60),
        (ecq('chunked'), 4, 2 * 3 * (50 + 4) + 60),
        (ecq('auto'), 5, 2 * 4 * (40 + 4) + 64),
        (ecq('gather'), 1, 0),
        (POWERSGD, 2, 4 * (2 * (18 + 20) + 7)),  # both factors, and a vector as it is
        (POWERSGD, 4, 1.5 * 4 * (2 * (18 + 20) + 7)),
        (CompressionOptions(kind='powersgd', rank=10), 2, 4 * (360 + 7)),  # factors of rank 10 would be larger
    ],
)
def test_bytes(options, num_workers, num_bytes):
    assert bytes_per_step(options, SIZES, num_workers) == num_bytes


@pytest.mark.parametrize(
    ('options', 'messages'),
    [
        (CompressionOptions(), 14),
        (CompressionOptions(kind='fp16'), 14),
        (ecq('gather'), 21),
        (ecq('chunked'), 28),
        (POWERSGD, 28),
    ],
)
def test_messages(options, messages):
    assert num_messages(options, 8) == messages


def test_time():
    assert Link(bandwidth=1e9, latency=50e-6).milliseconds(1_000_000, 4) == pytest.approx(8 + 0.2)
