"""Rows of arrays as samples."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pocketflow.datasets.sources import arrays
from pocketflow.datasets.sources.arrays import ArraySource, read_rows
from pocketflow.datasets.sources.decoding import Form


def rows_of(images: np.ndarray, check_all: bool = True):
    bad: list[tuple[int, str]] = []
    index = read_rows(images, np.arange(len(images)), check_all, lambda *found: bad.append(found), 'train')
    return index, bad


def test_rows_that_are_not_finite_are_left_out(monkeypatch):
    monkeypatch.setattr(arrays, 'CHUNK_BYTES', 64)  # several chunks
    images = np.random.default_rng(0).random([9, 2, 2, 1])
    images[0, 0, 0], images[7, 1, 1] = np.nan, -np.inf
    index, bad = rows_of(images)
    assert index.rows.tolist() == index.labels.tolist() == [1, 2, 3, 4, 5, 6, 8]
    assert bad == [
        (0, 'has values that are infinite or not a number'),
        (7, 'has values that are infinite or not a number'),
    ]
    assert len(rows_of(images, check_all=False)[0]) == 9
    assert index.names[0] == b'train 1' and len({*index.digests.tolist()}) == 7


def test_digests_are_those_of_the_values_in_any_layout():
    images = np.random.default_rng(0).integers(0, 256, [5, 3, 2, 3]).astype(np.uint8)
    assert rows_of(np.asfortranarray(images))[0].digests.tolist() == rows_of(images)[0].digests.tolist()


def test_a_source_gives_the_rows_of_its_index():
    images = np.random.default_rng(0).integers(0, 256, [6, 3, 2, 3]).astype(np.uint8)
    index = rows_of(images)[0].chosen([5, 0, 2])
    source = ArraySource(images, index, Form((3, 2)))
    assert len(source) == 3 and [part.tolist() for part in source.split(1)] == [[1, 2], [0]]
    batches = tf.data.Dataset.from_tensors((0, tf.constant([2, 1], tf.int64)))
    ((_, chosen, found),) = source.with_images(batches, 2, 1).as_numpy_iterator()
    np.testing.assert_array_equal(found, images[[2, 0]])
    assert chosen.tolist() == [2, 1] and found.dtype == np.uint8
