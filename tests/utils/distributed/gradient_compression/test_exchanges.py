"""Exchanges of codes: bytes, and means of what arrives."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.utils.distributed.gradient_compression import CompressionOptions
from pocketflow.utils.distributed.gradient_compression.exchanges import (
    ChunkedExchange,
    Exchange,
    bytes_received,
    choose_exchange,
)
from pocketflow.utils.distributed.multi_gpu_wrapper import ALONE


def test_exchange_with_fewer_bytes():
    assert bytes_received('gather', 100, 5) == 400 and bytes_received('chunked', 100, 5) == 160
    assert [choose_exchange('auto', size) for size in (1, 2, 4, 5, 64)] == [
        'gather',
        'gather',
        'gather',
        'chunked',
        'chunked',
    ]
    assert choose_exchange('gather', 64) == 'gather'


@pytest.mark.parametrize(('kind', 'num_chunk_errors'), [(Exchange, 0), (ChunkedExchange, 5)])
def test_values_on_the_grid_come_back_as_they_are(kind, num_chunk_errors):
    """With 4 bits there are 16 points from -scale to scale, so that +-scale and its odd fifteenths are exact."""
    exchange = kind(ALONE, 5, CompressionOptions(kind='ecq', bits='4', bucket_size=8))
    vector = tf.constant([15.0, -15.0, 1.0, -7.0, 3.0])
    mean, own = exchange.mean(vector, tf.constant([1, 2]))
    np.testing.assert_allclose(mean, vector, atol=1e-5)
    np.testing.assert_allclose(own, vector, atol=1e-5)
    assert exchange.error.shape == (num_chunk_errors,)
    np.testing.assert_allclose(exchange.error, np.zeros(num_chunk_errors), atol=1e-5)


def test_the_owner_of_a_chunk_keeps_what_the_second_rounding_left_out():
    """Alone: error = what it had added up, minus what it has sent on."""
    exchange = ChunkedExchange(ALONE, 6, CompressionOptions(kind='ecq', bits='ternary', bucket_size=8, error_decay=1.0))
    vector = tf.constant([4.0, 1.0, -1.5, 0.5, -4.0, 2.0])
    mean, own = exchange.mean(vector, tf.constant([3, 4]))
    np.testing.assert_allclose(exchange.error, own - mean, atol=1e-6)
    assert set(np.abs(own.numpy())) <= {0.0, 4.0}
