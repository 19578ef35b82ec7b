"""Fashion-MNIST from its gzipped idx files (Xiao et al. 2017, https://arxiv.org/abs/1708.07747).

Each image is standardised by its own mean and deviation; augmented by a border of four pixels, a random crop and a
random horizontal flip.
"""

from __future__ import annotations

import math
import struct

import numpy as np
import tensorflow as tf

from pocketflow.datasets.abstract_dataset import AbstractDataset, Samples
from pocketflow.datasets.files import gunzip, keras_download, list_files, read_bytes
from pocketflow.datasets.fmnist_options import FmnistOptions
from pocketflow.utils.errors import UsageError

PREFIX = {'train': 'train', 'eval': 't10k'}
UNSIGNED_BYTE = 8


def parse_idx(data: bytes, path: str) -> np.ndarray:
    """Decodes a gzipped idx file of unsigned bytes: two zero bytes, type, rank, big-endian sizes, values.

    Raises:
      UsageError: not gzip, not idx, or a number of values that differs from the header's.
    """
    data = gunzip(data, path)
    if len(data) < 4 or data[:3] != bytes([0, 0, UNSIGNED_BYTE]) or len(data) < 4 + 4 * data[3]:
        raise UsageError(f'{path}: no idx header of unsigned bytes found; expected the original Fashion-MNIST files')
    rank = data[3]
    shape = struct.unpack(f'>{rank}I', data[4 : 4 + 4 * rank])
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * rank)
    if values.size != math.prod(shape):
        raise UsageError(f'{path}: the header gives the shape {shape}, the file holds {values.size} values')
    return values.reshape(shape)


class FmnistDataset(AbstractDataset):
    """70,000 grey images of 28 x 28 pixels in ten classes of clothing."""

    name = 'fmnist'
    options_class = FmnistOptions
    image_shape = (28, 28, 1)
    num_classes = 10
    classes = ('T-shirt/top', 'trouser', 'pullover', 'dress', 'coat', 'sandal', 'shirt', 'sneaker', 'bag', 'ankle boot')

    def load(self, split: str) -> Samples:
        folder = self.options.data_dir
        if folder is None:
            train, evaluation = keras_download(
                'fashion_mnist', '{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz of Fashion-MNIST'
            )
            images, labels = train if split == 'train' else evaluation
        else:
            images, labels = (
                self._read(folder, f'{PREFIX[split]}-{part}-ubyte.gz') for part in ('images-idx3', 'labels-idx1')
            )
        return Samples(images[..., None], labels)

    def _read(self, folder: str, name: str) -> np.ndarray:
        (path,) = list_files(
            folder,
            name,
            'the Fashion-MNIST files (train-images-idx3-ubyte.gz, '
            'train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz)',
        )
        return parse_idx(read_bytes(path), path)

    def normalize(self, images: tf.Tensor) -> tf.Tensor:
        return tf.image.per_image_standardization(images)
