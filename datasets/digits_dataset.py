"""Handwritten digits that come with scikit-learn: real data without a download.

1,797 grey images of 8 x 8 pixels, values 0 to 16 (test part of the UCI "Optical Recognition of Handwritten Digits"
data, Alpaydin and Kaynak 1998). Four fifths are for training, one fifth for evaluation.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import sklearn.datasets
import tensorflow as tf

from pocketflow.datasets.abstract_dataset import AbstractDataset, Samples, train_val_split
from pocketflow.datasets.digits_options import NUM_EVAL, DigitsOptions

MEAN, STD = 4.88, 6.02


@functools.cache
def _digits() -> Any:
    """Images `[N, 8, 8]` and target `[N]`; cached, since reading the text file takes longer than all else."""
    return sklearn.datasets.load_digits()


class DigitsDataset(AbstractDataset):
    """1,797 grey images of 8 x 8 pixels in ten classes; the files are part of scikit-learn."""

    name = 'digits'
    options_class = DigitsOptions
    image_shape = (8, 8, 1)
    num_classes = 10
    classes = tuple('0123456789')
    mirrored = False

    def load(self, split: str) -> Samples:
        digits = _digits()
        chosen = dict(zip(('train', 'eval'), train_val_split(len(digits.target), NUM_EVAL), strict=True))[split]
        return Samples(digits.images[chosen, :, :, None].astype(np.uint8), digits.target[chosen])

    def normalize(self, images: tf.Tensor) -> tf.Tensor:
        return (tf.cast(images, tf.float32) - MEAN) / STD
