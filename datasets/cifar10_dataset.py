"""CIFAR-10 from its official binary batches (Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html).

Normalised as (x - mean) / std with the means and deviations of the RGB planes; augmented by a zero border of four
pixels, a random crop and a random horizontal flip.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pocketflow.datasets.abstract_dataset import AbstractDataset, Samples
from pocketflow.datasets.cifar10_options import Cifar10Options
from pocketflow.datasets.files import file_size, keras_download, list_files, read_bytes
from pocketflow.utils.errors import UsageError

MEAN = (125.3, 123.0, 113.9)
STD = (63.0, 62.1, 66.7)
PATTERNS = {'train': 'data_batch_*.bin', 'eval': 'test_batch.bin'}
OFFICIAL_FILES = {'train': [f'data_batch_{index}.bin' for index in range(1, 6)], 'eval': ['test_batch.bin']}
RECORD_BYTES = 1 + 32 * 32 * 3
FILE_RECORDS = 10000
FILE_BYTES = FILE_RECORDS * RECORD_BYTES


def parse_records(data: bytes, path: str) -> Samples:
    """Decodes records of one label byte and 3,072 image bytes (planes R, G, B, each row by row).

    Raises:
      UsageError: the file is not a whole number of records, or holds a label above 9.
    """
    if not data or len(data) % RECORD_BYTES:
        raise UsageError(
            f'{path}: {len(data)} bytes; expected {FILE_BYTES} ({FILE_RECORDS} records of {RECORD_BYTES} '
            'bytes), or another whole number of records; is the download complete?'
        )
    records = np.frombuffer(data, np.uint8).reshape(-1, RECORD_BYTES)
    if records[:, 0].max() > 9:
        raise UsageError(f'{path}: label {records[:, 0].max()} found, CIFAR-10 has 0 to 9; is this the binary version?')
    return Samples(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 0])


class Cifar10Dataset(AbstractDataset):
    """60,000 colour images of 32 x 32 pixels in ten classes."""

    name = 'cifar_10'
    options_class = Cifar10Options
    image_shape = (32, 32, 3)
    num_classes = 10
    classes = ('airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck')

    def load(self, split: str) -> Samples:
        if self.options.data_dir is None:
            return self._download(split)
        parts = [
            parse_records(read_bytes(path), path)
            for path in list_files(
                self.options.data_dir,
                PATTERNS[split],
                'the binary version of CIFAR-10 (data_batch_1.bin ... data_batch_5.bin, test_batch.bin)',
            )
        ]
        return Samples(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def incomplete_files(self, split: str) -> list[str]:
        if self.options.data_dir is None:
            return []
        sizes = {name: file_size(f'{self.options.data_dir.rstrip("/")}/{name}') for name in OFFICIAL_FILES[split]}
        return [
            f'{name}: ' + ('missing' if size is None else f'{size} bytes; expected {FILE_BYTES}')
            for name, size in sizes.items()
            if size is None or size < FILE_BYTES
        ]

    def _download(self, split: str) -> Samples:
        train, evaluation = keras_download(
            'cifar10', 'data_batch_1.bin ... data_batch_5.bin and test_batch.bin of the binary version of CIFAR-10'
        )
        images, labels = train if split == 'train' else evaluation
        return Samples(images, labels.ravel())

    def normalize(self, images: tf.Tensor) -> tf.Tensor:
        return (tf.cast(images, tf.float32) - MEAN) / STD
