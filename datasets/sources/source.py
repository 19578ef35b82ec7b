"""Interface of the sources of samples."""

from __future__ import annotations

import abc
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from pocketflow.utils.tasks.nests import Nest, num_samples


class Source(abc.ABC):
    """The samples of one split, addressed by index.

    The data set selects the indices of a batch; a source loads their images. The order of the indices is preserved, and
    equal indices give equal images, independent of the number of threads.

    Attributes:
      labels: mostly class numbers, int32 `[N]`; see `pocketflow.utils.tasks.task.Task.check_labels`.
      num_parallel_batches: number of batches that are normalised and augmented in parallel; None: one per thread.
    """

    labels: Nest
    num_parallel_batches: int | None = None

    def __len__(self) -> int:
        return num_samples(self.labels)

    @abc.abstractmethod
    def split(self, num_val: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the samples for training and of `num_val` held-out ones: disjoint, complete, always the same."""

    @abc.abstractmethod
    def with_images(self, batches: tf.data.Dataset, batch_size: int, num_threads: int) -> tf.data.Dataset:
        """Adds images to indices.

        Args:
          batches: of (any scalar, indices int64 `[n]`), in which all but the last have n = `batch_size`.
          batch_size: samples per batch.
          num_threads: how many threads read.

        Returns:
          A data set of (the scalar, the indices, images `[n, height, width, channels]`), in the same order.
        """

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Eight hexadecimal digits that identify the samples, independent of their location."""

    def first_bad(self, num_threads: int) -> str | None:
        """One line that names a sample that cannot be read, and says why; None if all can.

        Called when reading has failed without saying where.
        """
        return None


def each_alone(
    batches: tf.data.Dataset, read: Callable[[tf.Tensor], tf.Tensor], batch_size: int, num_threads: int
) -> tf.data.Dataset:
    """Implements `Source.with_images` by a function that reads one image: index, scalar int64 -> image."""
    indices = batches.map(lambda number, index: index).unbatch()
    images = indices.map(read, num_threads, deterministic=True).batch(batch_size)
    return tf.data.Dataset.zip((batches, images)).map(lambda chosen, images: (*chosen, images))
