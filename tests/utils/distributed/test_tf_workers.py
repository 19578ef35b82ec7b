"""How the tensors of `--engine=tf` travel; the operations themselves are in tests/workers/test_tf_engine.py."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.utils.distributed.tf_workers import from_words, to_words


@pytest.mark.parametrize('dtype', ['bool', 'uint8', 'float16', 'float32', 'int32', 'int64', 'float64'])
@pytest.mark.parametrize('shape', [(), (0,), (5,), (2, 3)])
def test_words_hold_the_bits_of_a_tensor(dtype: str, shape: tuple[int, ...]):
    tensor = tf.cast(tf.reshape(tf.range(-1, np.prod(shape, dtype=int) - 1), shape), dtype)
    words = to_words(tensor)
    assert words.dtype == tf.int32 and len(words) == max(1, -(-tensor.numpy().nbytes // 4))
    found = from_words(words, tensor)
    assert found.dtype == tensor.dtype
    np.testing.assert_array_equal(found, tensor)


def test_a_negative_zero_stays_one():
    assert np.signbit(from_words(to_words(tf.constant([-0.0])), tf.constant([1.0])))[0]
