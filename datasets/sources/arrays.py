"""Samples in the rows of an array, in memory or mapped from a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from pocketflow.datasets.sources.decoding import Form, formed
from pocketflow.datasets.sources.image_headers import content_digest
from pocketflow.datasets.sources.index import IndexedSource, SampleIndex

CHUNK_BYTES = 2**24
"""Rows are looked through in chunks of about this many bytes."""
NUM_READERS = 2
"""Number of batches that are copied out of the array at a time."""


@dataclasses.dataclass(frozen=True)
class RowIndex(SampleIndex):
    """Rows of an array.

    Attributes:
      rows: their numbers, int64 `[N]`.
    """

    rows: np.ndarray


def read_rows(
    images: np.ndarray, labels: np.ndarray, check_all: bool, refuse: Callable[[int, str], None], part: str
) -> RowIndex:
    """Looks through the rows of an array; of large images only their edges, unless all values are to be checked.

    Args:
      images: `[N, height, width, channels]`.
      labels: `[N, ...]`.
      check_all: whether all values are read, to see that they are finite.
      refuse: called for each row that cannot be used, with its number and the reason; if it returns, the row is left
        out.
      part: what the names begin with, so that those of two arrays differ.
    """
    good, digests = [], []
    for start, chunk in _chunks(images):
        usable = np.ones(len(chunk), bool)
        if check_all and chunk.dtype.kind == 'f':
            usable = np.isfinite(chunk).reshape(len(chunk), -1).all(axis=1)
        for number in np.flatnonzero(~usable):
            refuse(start + int(number), 'has values that are infinite or not a number')
        content = np.ascontiguousarray(chunk).reshape(len(chunk), -1).view(np.uint8)
        for number in np.flatnonzero(usable):
            good.append(start + int(number))
            digests.append(content_digest(content[number].data))
    rows = np.array(good, np.int64)
    return RowIndex(
        tuple(b'%s %d' % (part.encode(), row) for row in good), labels[rows], np.array(digests, np.uint64), rows
    )


def _chunks(images: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    size = max(1, CHUNK_BYTES // max(1, images[:1].nbytes))
    for start in range(0, len(images), size):
        yield start, images[start : start + size]


class ArraySource(IndexedSource):
    """Rows of an array, in its type; float32 with values as in the array if their form has to be changed.

    Args:
      images: `[N, height, width, channels]`, with 1 or 3 channels.
      index: the rows; their order is that of the samples.
      form: what is made of each.
    """

    index: RowIndex

    def __init__(self, images: np.ndarray, index: RowIndex, form: Form):
        super().__init__(index)
        self.images, self.form = images, form

    def with_images(self, batches: tf.data.Dataset, batch_size: int, num_threads: int) -> tf.data.Dataset:
        kind, shape = tf.as_dtype(self.images.dtype), self.images.shape[1:]

        def rows(index: np.ndarray) -> np.ndarray:
            return np.ascontiguousarray(self.images[self.index.rows[index]])

        def gather(number: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            images = tf.numpy_function(rows, [index], kind, stateful=False)
            return number, index, tf.ensure_shape(images, [None, *shape])

        together = batches.map(gather, NUM_READERS, deterministic=True)
        if shape == (*self.form.size, self.form.num_channels):
            return together
        # One at a time, as images from files are.
        images = together.map(lambda number, index, images: images).unbatch()
        images = images.map(lambda image: formed(image, self.form), num_threads, deterministic=True).batch(batch_size)
        return tf.data.Dataset.zip((batches, images)).map(lambda chosen, images: (*chosen, images))
