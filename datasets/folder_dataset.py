"""A folder of images with one folder per class; images are decoded on demand.

Classes are the names of the folders, sorted, as Keras sorts them; so the outputs of a network that was trained by
`image_dataset_from_directory` on folders of these names have the order of these classes.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from pocketflow.datasets.folder_options import COLOUR_SCALES, SCALES, FolderOptions, numbers
from pocketflow.datasets.sourced_dataset import SourcedDataset, crop_and_flip
from pocketflow.datasets.sources.decoding import Form
from pocketflow.datasets.sources.image_files import ImageFileSource, ImageIndex, read_index
from pocketflow.datasets.sources.image_folders import Listing, class_names, find_trees, list_images, shown, some
from pocketflow.utils.errors import UsageError

CAFFE_MEAN = (103.939, 116.779, 123.68)
"""ImageNet's mean blue, green and red, 0 to 255."""
TORCH_MEAN, TORCH_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's mean and deviation of red, green and blue, 0 to 1."""
SPLITS = ('train', 'eval')


class BadImages:
    """Counts defective images, or raises an error for the first."""

    def __init__(self, skip: bool):
        self.skip, self.num = skip, 0

    def __call__(self, path: str, reason: str) -> None:
        """Raises a `UsageError` unless defective images are skipped."""
        if not self.skip:
            raise UsageError(f'{shown(path)}: {reason}; repair or remove it, or give --skip_bad_images')
        self.num += 1
        logging.warning('%s: %s; skipped', shown(path), reason)


@dataclasses.dataclass(frozen=True)
class Folders:
    """The files of both splits.

    Attributes:
      classes: names of the classes, in order.
      indices: the files by split, in the order in which they are used.
      num_bad: how many were left out because they are broken.
      num_shared: evaluation images that are among the training images, too.
    """

    classes: tuple[str, ...]
    indices: dict[str, ImageIndex]
    num_bad: int
    num_shared: int


class FolderDataset(SourcedDataset):
    """Images of any size in `--data_dir_local`.

    Args:
      options: what is made of the files.
      seed: changes the order of the training images and how they are augmented.
      image_shape: (height, width, channels) of what the network takes; the options win.
      default_scale: what `--image_scale=auto` means.
    """

    name = 'folder'
    options_class = FolderOptions
    options: FolderOptions

    def __init__(
        self,
        options: FolderOptions,
        seed: int = 0,
        image_shape: tuple[int | None, int | None, int] = (None, None, 3),
        default_scale: str = '0-1',
    ):
        super().__init__(options, seed)
        self._given_shape, self.default_scale = image_shape, default_scale

    @property
    def image_shape(self) -> tuple[int, int, int]:
        height, width = self.options.size or self._given_shape[:2]
        if height is None or width is None:
            raise UsageError('--image_size is missing: the network takes images of any size; give --image_size=H,W')
        return height, width, self._given_shape[2]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the network's outputs."""
        return self._folders.classes

    @property
    def num_classes(self) -> int:
        return len(self._listings[0].classes)

    @property
    def counted_options(self) -> FolderOptions:
        counts = [len(self._folders.indices[split]) for split in SPLITS]
        return self.options.counted(*counts)

    def facts(self) -> dict[str, Any]:
        options = self.counted_options
        return {
            'classes': [shown(name) for name in self.classes],
            'training_images': options.num_train,
            'evaluation_images': options.num_eval,
            'broken_images_left_out': self._folders.num_bad,
        }

    def source(self, split: str) -> ImageFileSource:
        index, counted = self._folders.indices[split], self.counted_options
        wanted, flag = {'train': (counted.num_train, 'nb_smpls_train'), 'eval': (counted.num_eval, 'nb_smpls_eval')}[
            split
        ]
        if wanted > len(index):
            raise UsageError(
                f'--{flag}={wanted}: {shown(self.options.data_dir)} holds only {len(index)} images of that split; '
                f'give --{flag}={len(index)} or less, or drop the flag'
            )
        height, width, num_channels = self.image_shape
        form = Form((height, width), num_channels, self.options.fit, self.options.resize == 'antialias')
        return ImageFileSource(index.chosen(np.arange(wanted)), form)

    @property
    def scale(self) -> str:
        """The value of `--image_scale`, with `auto` resolved for this network."""
        return self.default_scale if self.options.scale == 'auto' else self.options.scale

    @property
    def scales(self) -> tuple[str, ...]:
        """The values of `--image_scale` that suit the number of channels; some are defined for RGB only."""
        return SCALES if self.image_shape[2] == 3 else tuple(name for name in SCALES if name not in COLOUR_SCALES)

    def normalize(self, images: tf.Tensor) -> tf.Tensor:
        images = tf.cast(images, tf.float32)
        if self.scale not in self.scales:
            raise UsageError(
                f'--image_scale={self.scale}: is for colour, and the network takes grey images; give one of '
                f'{", ".join(self.scales)}'
            )
        if self.scale == 'caffe':
            return images[..., ::-1] - CAFFE_MEAN
        if self.scale == 'torch':
            return (images / 255 - TORCH_MEAN) / TORCH_STD
        images = {'none': lambda: images, '0-1': lambda: images / 255, '-1-1': lambda: images / 127.5 - 1}[self.scale]()
        if self.options.mean is not None:
            images -= self._per_channel('image_mean', self.options.mean)
        return images if self.options.std is None else images / self._per_channel('image_std', self.options.std)

    def augment(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        kinds = self.options.augmentation.split('-')
        if kinds == ['none']:
            return images
        return crop_and_flip(images, self.options.crop_padding if 'crop' in kinds else 0, seed, 'flip' in kinds)

    def _per_channel(self, flag: str, text: str) -> tf.Tensor:
        values, num_channels = numbers(flag, text), self.image_shape[2]
        if len(values) not in (1, num_channels):
            raise UsageError(f'--{flag}={text}: must be one number, or {num_channels}, as the images have channels')
        return tf.constant(values, tf.float32)

    @property
    def _listings(self) -> tuple[Listing, ...]:
        """The file names of one tree, or of the training and the evaluation tree."""
        return self._once('listings', self._list)

    @property
    def _folders(self) -> Folders:
        return self._once('folders', self._read)

    def _once(self, key: str, make: Callable[[], Any]) -> Any:
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    def _list(self) -> tuple[Listing, ...]:
        self.options.refuse_missing()
        trees = [tree for tree in find_trees(self.options.data_dir_local or '') if tree is not None]
        classes = class_names(trees[0])
        listings = tuple(list_images(tree, classes) for tree in trees)
        for listing in listings:
            if listing.left_out:
                endings = [f'{count} {ending}' for ending, count in sorted(listing.left_out.items())]
                logging.warning('%s: files that are no images by their names: %s', shown(listing.root), some(endings))
        return listings

    def _read(self) -> Folders:
        bad = BadImages(self.options.skip_bad)
        logging.info('opening %d images', sum(len(listing.names) for listing in self._listings))
        read = functools.partial(
            read_index, check_all=self.options.check_images, num_threads=self.options.num_threads, refuse=bad
        )
        found, classes = tuple(map(read, self._listings)), self._listings[0].classes
        train, evaluation = found if len(found) == 2 else found[0].divided(self.options.eval_share)
        self._refuse_too_few(train, evaluation)
        for what, index in (('training', train), ('evaluation', evaluation)):
            empty = np.flatnonzero(np.bincount(index.labels, minlength=len(classes)) == 0)
            if len(empty):
                logging.warning('no %s images of %s', what, some([classes[number] for number in empty]))
        num_shared = int(np.isin(evaluation.digests, train.digests).sum())
        if num_shared:
            logging.warning(
                '%d of %d evaluation images are among the training images too: what is measured on them flatters',
                num_shared,
                len(evaluation),
            )
        logging.info(
            '%s: %d training and %d evaluation images of %d classes: %s',
            shown(self.options.data_dir),
            len(train),
            len(evaluation),
            len(classes),
            some(classes),
        )
        indices = {'train': train.ordered(), 'eval': evaluation.ordered()}
        return Folders(classes, indices, bad.num, num_shared)

    def _refuse_too_few(self, train: ImageIndex, evaluation: ImageIndex) -> None:
        where = shown(self.options.data_dir)
        if len(train) < 2:
            raise UsageError(f'{where}: {len(train)} training images can be used; at least 2 are needed')
        if not len(evaluation):
            raise UsageError(
                f'{where}: none of the images can be used for evaluation (of one tree, --eval_share='
                f'{self.options.eval_share} of each class, rounded); add images'
            )
        if len(np.unique(train.labels)) < 2:
            raise UsageError(
                f'{where}: all training images are of one class, {shown(self._listings[0].classes[train.labels[0]])}; '
                'a classifier needs images of two classes at least'
            )
