from __future__ import annotations

import numpy as np
import tensorflow as tf

from pocketflow.datasets.sources.source import each_alone


def test_images_that_are_read_alone_stay_with_their_batch():
    indices = tf.constant([[4, 2, 0], [1, 3, 5]], tf.int64)
    batches = tf.data.Dataset.from_tensor_slices((tf.constant([7, 8]), indices))
    found = list(each_alone(batches, lambda index: tf.fill([2], 10 * index), 3, 2).as_numpy_iterator())
    assert [number for number, _, _ in found] == [7, 8]
    for (_, index, images), expected in zip(found, indices.numpy(), strict=True):
        np.testing.assert_array_equal(index, expected)
        np.testing.assert_array_equal(images, 10 * np.stack([expected] * 2, axis=1))
