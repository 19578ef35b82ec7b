"""Decoded images in memory: training on small images would spend a good part of its time on decoding them again."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pocketflow.datasets.sources.index import IndexedSource

CHUNK = 256
"""Number of images decoded at a time."""


class DecodedSource(IndexedSource):
    """The samples of another source, decoded once.

    Args:
      source: the other one.
      images: what it gives for all samples, `[N, height, width, channels]`.
    """

    def __init__(self, source: IndexedSource, images: np.ndarray):
        super().__init__(source.index)
        self.source, self.images = source, images

    def with_images(self, batches: tf.data.Dataset, batch_size: int, num_threads: int) -> tf.data.Dataset:
        kind, shape = tf.as_dtype(self.images.dtype), self.images.shape[1:]

        def gather(number: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            images = tf.numpy_function(lambda chosen: self.images[chosen], [index], kind, stateful=False)
            return number, index, tf.cast(tf.ensure_shape(images, [None, *shape]), tf.float32)

        return batches.map(gather)

    def first_bad(self, num_threads: int) -> str | None:
        return self.source.first_bad(num_threads)


def decoded(source: IndexedSource, shape: tuple[int, int, int], budget: int, num_threads: int) -> np.ndarray | None:
    """All images of a source, float32, or uint8 if none has fractions; None if they take more than `budget` bytes.

    Args:
      source: gives float32 images with values from 0 to 255.
      shape: of each image.
      budget: bytes.
      num_threads: how many decode.
    """
    num_values = len(source) * int(np.prod(shape))
    if num_values > budget or not len(source):
        return None
    images: np.ndarray = np.empty([len(source), *shape], np.uint8)
    indices = tf.data.Dataset.range(len(source)).batch(CHUNK).enumerate()
    for _, index, batch in source.with_images(indices, CHUNK, num_threads).as_numpy_iterator():
        if images.dtype == np.uint8 and (batch != np.floor(batch)).any():
            if 4 * num_values > budget:
                return None
            images = images.astype(np.float32)
        images[index] = batch
    return images
