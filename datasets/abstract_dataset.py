"""Data sets that fit into memory: they say how their samples are read."""

from __future__ import annotations

import abc
from typing import NamedTuple

import numpy as np

from pocketflow.datasets.checks import ARE_RIGHT, check_finite, class_numbers
from pocketflow.datasets.options import DatasetOptions
from pocketflow.datasets.sourced_dataset import Shard, SourcedDataset, crop_and_flip
from pocketflow.datasets.sources.memory import MemorySource
from pocketflow.datasets.sources.order import shuffled_indices, train_val_split
from pocketflow.utils.errors import UsageError

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
    """Images `[N, height, width, channels]`, mostly uint8, and class labels `int32 [N]`.

    `AbstractDataset.load` may give labels of any type of number, as long as they are whole.
    """

    images: np.ndarray
    labels: np.ndarray


class AbstractDataset(SourcedDataset):
    """A classification data set that fits into memory.

    Subclasses set `name`, `options_class`, `image_shape` and `num_classes`, and fill in the abstract methods.
    """

    @abc.abstractmethod
    def load(self, split: str) -> Samples:
        """Reads all samples of `split`, `'train'` or `'eval'`; a `UsageError` says what is missing and where."""

    def incomplete_files(self, split: str) -> list[str]:
        """`name: what is wrong` of files that are known to be shorter than the published ones, for error messages."""
        return []

    def source(self, split: str) -> MemorySource:
        return MemorySource(*self.samples(split))

    def samples(self, split: str) -> Samples:
        """The first `nb_smpls_train` or `nb_smpls_eval` samples of a split, read once.

        Raises:
          UsageError: the files cannot be read, hold fewer, are not this data set's, or have a sample that cannot be
            trained with: a label that is no class number, an image with values that are not finite.
        """
        if split not in self._cache:
            wanted, flag = {
                'train': (self.options.num_train, 'nb_smpls_train'),
                'eval': (self.options.num_eval, 'nb_smpls_eval'),
            }[split]
            loaded = self._checked(split)
            if len(loaded.labels) < wanted:
                incomplete = f' ({", ".join(self.incomplete_files(split))})'.replace(' ()', '')
                raise UsageError(
                    f'--{flag}={wanted}: the {self.name} files hold only {len(loaded.labels)} samples '
                    f'of that split; pass --{flag}={len(loaded.labels)} or complete the files{incomplete}'
                )
            images = loaded.images[:wanted]
            check_finite(images, self.normalize, f'{self.name}, split {split}')
            self._cache[split] = Samples(images, loaded.labels[:wanted])
        return self._cache[split]

    def _checked(self, split: str) -> Samples:
        """All samples of a split; a `UsageError` if images or labels are not what the data set promises."""
        images, labels = map(np.asarray, self.load(split))
        what = f'{self.name}, split {split}'
        if images.shape[1:] != self.image_shape:
            raise UsageError(
                f'{what}: images of shape {images.shape[1:]} found, expected {self.image_shape} (height, '
                f'width, channels); {ARE_RIGHT}'
            )
        if labels.shape[:1] != images.shape[:1]:
            raise UsageError(
                f'{what}: {len(images)} images, but labels of shape {labels.shape}, expected one number '
                f'per image; {ARE_RIGHT}'
            )
        return Samples(images, class_numbers(labels, self.num_classes, what))
