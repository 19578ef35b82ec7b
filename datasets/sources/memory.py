"""Samples held in memory."""

from __future__ import annotations

import hashlib

import numpy as np
import tensorflow as tf

from pocketflow.datasets.sources.order import train_val_split
from pocketflow.datasets.sources.source import Source
from pocketflow.utils.tasks.nests import Nest


class MemorySource(Source):
    """Samples in arrays.

    Args:
      images: `[N, ...]`, or a nested structure of such arrays.
      labels: likewise; mostly class numbers, int32 `[N]`.
    """

    def __init__(self, images: Nest, labels: Nest):
        self.images, self.labels = images, labels

    def split(self, num_val: int) -> tuple[np.ndarray, np.ndarray]:
        return train_val_split(len(self), num_val)

    def with_images(self, batches: tf.data.Dataset, batch_size: int, num_threads: int) -> tf.data.Dataset:
        with tf.device('CPU'):
            images = tf.nest.map_structure(tf.constant, self.images)

        def gather(number: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, Nest]:
            return number, index, tf.nest.map_structure(lambda array: tf.gather(array, index), images)

        return batches.map(gather)

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for array in tf.nest.flatten((self.images, self.labels)):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:8]
