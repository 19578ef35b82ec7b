"""What a frozen part of a network computes of the training samples, in place of their images."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from pocketflow.datasets.options import DatasetOptions
from pocketflow.datasets.sourced_dataset import SourcedDataset
from pocketflow.datasets.sources.source import Source


class FeatureSource(Source):
    """The samples of another source, with arrays in memory as images.

    Args:
      source: the other one.
      features: float32 `[N, ...]`.
    """

    def __init__(self, source: Source, features: np.ndarray):
        self._source, self._features, self.labels = source, features, source.labels

    def split(self, num_val: int) -> tuple[np.ndarray, np.ndarray]:
        return self._source.split(num_val)

    def with_images(self, batches: tf.data.Dataset, batch_size: int, num_threads: int) -> tf.data.Dataset:
        def gather(number: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            found = tf.numpy_function(lambda chosen: self._features[chosen], [index], tf.float32, stateful=False)
            return number, index, tf.ensure_shape(found, [None, *self._features.shape[1:]])

        return batches.map(gather)

    def fingerprint(self) -> str:
        return self._source.fingerprint()


class FeatureDataset(SourcedDataset):
    """The training samples of a data set, in the same order and batches, with other inputs.

    Args:
      dataset: the data set, whose training images are not augmented.
      features: float32 `[N, ...]`, of the training samples in the order of its source.
    """

    def __init__(self, dataset: SourcedDataset, features: np.ndarray):
        super().__init__(dataset.options, dataset.seed)
        self._dataset, self._features = dataset, features
        self.name, self.shard, self.label_check = dataset.name, dataset.shard, dataset.label_check

    @property
    def image_shape(self) -> tuple[int, ...]:
        return self._features.shape[1:]

    @property
    def num_classes(self) -> Any:
        return self._dataset.num_classes

    @property
    def counted_options(self) -> DatasetOptions:
        return self._dataset.counted_options

    def split_indices(self, enbl_trn_val_split: bool) -> tuple[np.ndarray, np.ndarray]:
        return self._dataset.split_indices(enbl_trn_val_split)

    def source(self, split: str) -> Source:
        return FeatureSource(self._dataset.source(split), self._features)

    def normalize(self, images: tf.Tensor) -> tf.Tensor:
        return images

    def augment(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return images
