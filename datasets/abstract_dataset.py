"""Data sets that fit into memory: subclasses implement reading all samples of a split."""

from __future__ import annotations

import abc
from typing import NamedTuple

import numpy as np

from pocketflow.datasets.checks import WRONG_FILES, check_finite
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

    `AbstractDataset.load` may return labels of any numeric type with integral values.
    """

    images: np.ndarray
    labels: np.ndarray


class AbstractDataset(SourcedDataset):
    """A classification data set that fits into memory.

    Subclasses set `name`, `options_class`, `image_shape` and `num_classes`, and implement the abstract methods.
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
        """All samples of a split; raises a `UsageError` if images or labels have the wrong shape or type."""
        images, labels = map(np.asarray, self.load(split))
        what = f'{self.name}, split {split}'
        if images.shape[1:] != self.image_shape:
            raise UsageError(
                f'{what}: images of shape {images.shape[1:]} found, expected {self.image_shape} (height, '
                f'width, channels); {WRONG_FILES}'
            )
        if labels.shape[:1] != images.shape[:1]:
            raise UsageError(
                f'{what}: {len(images)} images, but labels of shape {labels.shape}, expected one number '
                f'per image; {WRONG_FILES}'
            )
        return Samples(images, self.checked_labels(labels, what))
