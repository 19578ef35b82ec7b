"""Data sets that fit into memory: subclasses implement reading all samples of a split."""

from __future__ import annotations

import abc
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pocketflow.datasets.checks import WRONG_FILES, check_finite
from pocketflow.datasets.options import DatasetOptions
from pocketflow.datasets.sourced_dataset import Shard, SourcedDataset, crop_and_flip
from pocketflow.datasets.sources.memory import MemorySource
from pocketflow.datasets.sources.order import shuffled_indices, train_val_split
from pocketflow.utils.errors import UsageError
from pocketflow.utils.tasks.nests import Nest, num_samples, same_shapes, shapes, take

__all__ = [
    'AbstractDataset',
    'DatasetOptions',
    'Samples',
    'Shard',
    'crop_and_flip',
    'shuffled_indices',
    'train_val_split',
]


class Samples(NamedTuple):
    """Inputs, mostly uint8 images `[N, height, width, channels]`, and labels, mostly class numbers `int32 [N]`.

    Both may be dicts of arrays, for networks with several inputs (by the names of the input layers) or outputs.
    `AbstractDataset.load` may return labels of any numeric type; the task converts or refuses them.
    """

    images: Nest
    labels: Nest


class AbstractDataset(SourcedDataset):
    """A data set that fits into memory.

    Subclasses set `name`, `options_class`, `image_shape` and, if there are classes, `num_classes`, and implement the
    abstract methods.
    """

    @abc.abstractmethod
    def load(self, split: str) -> Samples:
        """Reads all samples of `split`, `'train'` or `'eval'`; raises a `UsageError` that names missing files."""

    def incomplete_files(self, split: str) -> list[str]:
        """One `file name: defect` per missing or too short file, for error messages."""
        return []

    def source(self, split: str) -> MemorySource:
        return MemorySource(*self.samples(split))

    def samples(self, split: str) -> Samples:
        """The first `nb_smpls_train` or `nb_smpls_eval` samples of a split, read once.

        Raises:
          UsageError: the files cannot be read, hold too few samples, belong to another data set, or hold an invalid
            sample: a label that is no class number, or an image with values that are not finite.
        """
        if split not in self._cache:
            wanted, flag = {
                'train': (self.options.num_train, 'nb_smpls_train'),
                'eval': (self.options.num_eval, 'nb_smpls_eval'),
            }[split]
            loaded = self._checked(split)
            num_loaded = num_samples(loaded.labels)
            if num_loaded < wanted:
                incomplete = f' ({", ".join(self.incomplete_files(split))})'.replace(' ()', '')
                raise UsageError(
                    f'--{flag}={wanted}: the {self.name} files hold only {num_loaded} samples '
                    f'of that split; pass --{flag}={num_loaded} or complete the files{incomplete}'
                )
            samples = Samples(*take(tuple(loaded), slice(wanted)))
            check_finite(samples.images, self.normalize, f'{self.name}, split {split}')
            self._cache[split] = samples
        return self._cache[split]

    def _checked(self, split: str) -> Samples:
        """All samples of a split; raises a `UsageError` if images or labels have the wrong shape or type."""
        images, labels = tf.nest.map_structure(np.asarray, tuple(self.load(split)))
        what = f'{self.name}, split {split}'
        if not same_shapes(images, self.image_shape):
            raise UsageError(
                f'{what}: images of shape {shapes(images)} found, expected {self.image_shape} (height, '
                f'width, channels); {WRONG_FILES}'
            )
        numbers = {array.shape[:1] for array in tf.nest.flatten([images, labels])}
        if len(numbers) > 1:
            raise UsageError(
                f'{what}: {num_samples(images)} images, but labels of shape {_whole_shapes(labels)}, expected one '
                f'label per image; {WRONG_FILES}'
            )
        return Samples(images, self.checked_labels(labels, what))


def _whole_shapes(nest: Nest) -> Any:
    return tf.nest.map_structure(lambda array: array.shape, nest)
