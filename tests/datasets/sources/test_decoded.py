"""Decoded images in memory."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.datasets.sources.arrays import ArraySource, read_rows
from pocketflow.datasets.sources.decoded import DecodedSource, decoded
from pocketflow.datasets.sources.decoding import Form

IMAGES = np.random.default_rng(0).integers(0, 256, [7, 4, 4, 3]).astype(np.uint8)


def source(size: tuple[int, int]) -> ArraySource:
    return ArraySource(IMAGES, read_rows(IMAGES, np.arange(7), False, lambda *_: None, 'train'), Form(size))


def batches_of(of: ArraySource | DecodedSource) -> list[np.ndarray]:
    indices = tf.data.Dataset.from_tensor_slices((tf.range(2), tf.constant([[6, 0, 3], [2, 1, 5]], tf.int64)))
    found = list(of.with_images(indices, 3, 2).as_numpy_iterator())
    assert [(number, index.tolist()) for number, index, _ in found] == [(0, [6, 0, 3]), (1, [2, 1, 5])]
    return [images for _, _, images in found]


@pytest.mark.parametrize(('size', 'kind'), [((4, 4), np.uint8), ((3, 5), np.float32)])
def test_decoded_images_are_the_same(size, kind):
    plain, num_bytes = source(size), 7 * size[0] * size[1] * 3 * np.dtype(kind).itemsize
    images = decoded(plain, (*size, 3), num_bytes, 2)
    assert images is not None and images.dtype == kind
    np.testing.assert_array_equal(batches_of(DecodedSource(plain, images)), batches_of(plain))
    assert decoded(plain, (*size, 3), num_bytes - 1, 2) is None
