"""Images and labels in arrays: a `.npz` file, or `.npy` files, which are not read into memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from pocketflow.datasets.image_dataset import BadImages, Contents, ImageDataset
from pocketflow.datasets.npz_options import NpzOptions
from pocketflow.datasets.sources.array_files import StoredArray, open_arrays, read_array
from pocketflow.datasets.sources.arrays import ArraySource, RowIndex, read_rows
from pocketflow.datasets.sources.decoding import Form
from pocketflow.datasets.sources.image_folders import shown, some
from pocketflow.datasets.sources.index import IndexedSource, SampleIndex, no_labels
from pocketflow.utils.errors import UsageError

TRAIN_NAMES = (('x_train', 'y_train'), ('train_images', 'train_labels'), ('x', 'y'), ('images', 'labels'))
EVAL_NAMES = (
    ('x_val', 'y_val'),
    ('val_images', 'val_labels'),
    ('x_test', 'y_test'),
    ('test_images', 'test_labels'),
    ('x_eval', 'y_eval'),
)
"""Usual names of the arrays of images and labels, in order of precedence."""

Names = tuple[str, str | None]
"""The array of the images, and that of their labels, if these are read."""

NUM_LOOKED_AT = 256
"""Number of images from which the range of floating-point values is taken."""


class Part(NamedTuple):
    """The arrays of one split.

    Attributes:
      where: file and name of the images, for messages.
      images: `[N, height, width, channels]`.
      labels: `[N, ...]`; `no_labels` if there are none.
    """

    where: str
    images: np.ndarray
    labels: np.ndarray


class NpzDataset(ImageDataset):
    """Arrays in `--data_dir_local`, a `.npz` file or a folder of `.npy` files.

    Images are `[N, height, width, channels]`, or `[N, height, width]` if they are grey. Integers are 0 to 255;
    floating-point values are taken for scaled ones, which `--image_scale=auto` leaves as they are.
    """

    name = 'npz'
    options_class = NpzOptions
    options: NpzOptions

    @property
    def image_shape(self) -> tuple[int, int, int]:
        if self.options.size is not None or None not in self._given_shape:
            return super().image_shape
        height, width, _ = self._parts[0].images.shape[1:]
        return height, width, self._given_shape[2]

    @property
    def scale(self) -> str:
        is_scaled = self.options.scale == 'auto' and self._parts[0].images.dtype.kind == 'f'
        return 'none' if is_scaled else super().scale

    def training_source(self) -> IndexedSource:
        return self.source('train')  # there is nothing to decode

    def black_and_white(self) -> tuple[tf.Tensor, tf.Tensor]:
        images = self._parts[0].images
        if images.dtype.kind != 'f':
            return super().black_and_white()
        some_images = self.normalize(images[:NUM_LOOKED_AT].astype(np.float32))
        return tf.reduce_min(some_images), tf.reduce_max(some_images)

    def read(self) -> Contents:
        bad, indices = BadImages(self.options.skip_bad), []
        for number, part in enumerate(self._parts):

            def refuse(row: int, reason: str, part: Part = part) -> None:
                bad(f'{part.where}, image {row}', reason)

            name = 'eval' if number else 'train'
            indices.append(read_rows(part.images, part.labels, self.options.check_images, refuse, name))
        return Contents(indices, None, bad.num)

    def make_source(self, index: SampleIndex, form: Form) -> ArraySource:
        assert isinstance(index, RowIndex)
        is_eval = len(self._parts) == 2 and bool(len(index)) and index.names[0].startswith(b'eval')
        return ArraySource(self._parts[is_eval].images, index, form)

    @property
    def _parts(self) -> Sequence[Part]:
        """The arrays of both splits, or of both together."""
        return self.once('parts', self._open)

    def _open(self) -> Sequence[Part]:
        self.options.refuse_missing()
        where, options = self.options.data_dir or '', self.options
        arrays = open_arrays(where)
        train = self._names(arrays, (options.images_train, options.labels_train), TRAIN_NAMES)
        if train is None and not options.has_labels and len(arrays) == 1:
            train = next(iter(arrays)), None  # whatever its name is
        if train is None:
            raise UsageError(f'{shown(where)}: holds the arrays {some(sorted(arrays))}; expected {self._expected}')
        evaluation = self._names(arrays, (options.images_eval, options.labels_eval), EVAL_NAMES)
        used = [names for names in (train, evaluation) if names is not None]
        parts = [read_part(arrays[images], None if labels is None else arrays[labels]) for images, labels in used]
        logging.info('%s: arrays %s', shown(where), some([name for names in used for name in names if name]))
        if len(parts) == 2 and parts[0].images.dtype.kind != parts[1].images.dtype.kind:
            raise UsageError(
                f'{parts[0].where}: has values of type {parts[0].images.dtype}, but {parts[1].where} of type '
                f'{parts[1].images.dtype}; save both in the same type and scale'
            )
        return parts

    @property
    def _expected(self) -> str:
        if not self.options.has_labels:
            return f'{" or ".join(images for images, _ in TRAIN_NAMES)}, or give --npz_x_train'
        return f'{", ".join(" and ".join(names) for names in TRAIN_NAMES)}, or give --npz_x_train and --npz_y_train'

    def _names(
        self, arrays: Mapping[str, StoredArray], given: tuple[str | None, str | None], usual: Sequence[tuple[str, str]]
    ) -> Names | None:
        """The names of an array of images and of its labels, as given, or the first usual ones that are there."""
        has_labels, (images, labels) = self.options.has_labels, given
        candidates: list[Names] = [(names[0], names[1] if has_labels else None) for names in usual]
        if images is None or (labels is None and has_labels):
            return next((names for names in candidates if all(name in (None, *arrays) for name in names)), None)
        for name in (images, labels):
            if name not in (None, *arrays):
                raise UsageError(
                    f'{shown(self.options.data_dir)}: holds no array {shown(name)}; there are {some(sorted(arrays))}'
                )
        return images, labels


def read_part(stored_images: StoredArray, stored_labels: StoredArray | None) -> Part:
    """Reads or maps one array of images and its labels, if there are any.

    Raises:
      UsageError: their shapes do not fit.
    """
    images = read_array(stored_images)
    labels = None if stored_labels is None else np.array(read_array(stored_labels))
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[3] not in (1, 3) or not all(images.shape[1:]):
        raise UsageError(
            f'{stored_images.where}: has shape {images.shape}; expected [N, height, width, channels] with 1 or 3 '
            'channels, or [N, height, width]'
        )
    if stored_labels is None or labels is None:
        return Part(stored_images.where, images, no_labels(len(images)))
    if len(images) != len(labels):
        raise UsageError(
            f'{stored_images.where}: {len(images)} images, but {len(labels)} labels in {stored_labels.where}'
        )
    if labels.shape[1:] == (1,) and labels.dtype.kind in 'iu':
        labels = labels[:, 0]  # a column of class numbers
    return Part(stored_images.where, images, labels)
