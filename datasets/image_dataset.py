"""Images of any size, decoded or read on demand: what the data sets of folders, records and arrays have in common."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from pocketflow.datasets.augmentation import inception, randaugment_lite
from pocketflow.datasets.image_options import COLOUR_SCALES, NO_LABELS, SCALES, ImageOptions, numbers
from pocketflow.datasets.sourced_dataset import SourcedDataset, crop_and_flip
from pocketflow.datasets.sources.decoded import DecodedSource, decoded
from pocketflow.datasets.sources.decoding import Form
from pocketflow.datasets.sources.image_folders import shown, some
from pocketflow.datasets.sources.index import IndexedSource, SampleIndex
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
class Contents:
    """What the files hold.

    Attributes:
      indices: one, to be divided, or one for training and one for evaluation.
      classes: names of the classes, in order; None if labels are numbers, or there are none.
      num_bad: how many images were left out.
    """

    indices: Sequence[SampleIndex]
    classes: tuple[str, ...] | None
    num_bad: int


class ImageDataset(SourcedDataset):
    """Images of any size in `--data_dir_local`.

    Args:
      options: what is made of the files.
      seed: changes the order of the training images and how they are augmented.
      image_shape: (height, width, channels) of what the network takes; the options win.
      default_scale: what `--image_scale=auto` means.
      num_outputs: number of the network's outputs; None if they are to be as many as classes.
    """

    options: ImageOptions

    def __init__(
        self,
        options: ImageOptions,
        seed: int = 0,
        image_shape: tuple[int | None, int | None, int] = (None, None, 3),
        default_scale: str = '0-1',
        num_outputs: int | None = None,
    ):
        super().__init__(options, seed)
        self._given_shape, self.default_scale, self.num_outputs = image_shape, default_scale, num_outputs

    @abc.abstractmethod
    def read(self) -> Contents:
        """Lists the samples; raises a `UsageError` that names what is missing or cannot be used."""

    @abc.abstractmethod
    def make_source(self, index: SampleIndex, form: Form) -> IndexedSource:
        """The source of some samples that `read` has listed."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        height, width = self.options.size or self._given_shape[:2]
        if height is None or width is None:
            raise UsageError('--image_size is missing: the network takes images of any size; give --image_size=H,W')
        return height, width, self._given_shape[2]

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the classes, in the order of the network's outputs; None if labels are numbers."""
        return self.contents.classes

    @property
    def num_classes(self) -> int | None:
        if not self.options.has_labels:
            return None
        if self.classes is not None:
            return len(self.classes)
        if self.num_outputs is not None:
            return self.num_outputs
        # Labels that are no class numbers are refused later.
        return 1 + max(int(index.labels.max(initial=0)) for index in self.contents.indices)

    @property
    def declared_classes(self) -> int | None:
        return self.num_outputs

    @property
    def counted_options(self) -> ImageOptions:
        return self.options.counted(*(len(self._splits[split]) for split in SPLITS))

    def facts(self) -> dict[str, Any]:
        options = self.counted_options
        return {
            **({'classes': [shown(name) for name in self.classes]} if self.classes is not None else {}),
            **({} if options.has_labels else {'labels': NO_LABELS}),
            'training_images': options.num_train,
            'evaluation_images': options.num_eval,
            'broken_images_left_out': self.contents.num_bad,
        }

    def training_source(self) -> IndexedSource:
        """The training samples; kept in memory if they take no more than `--image_cache_mib`."""
        source, options = self.source('train'), self.options
        images = self.once(
            f'training images: {len(source)} {self.image_shape} {options.fit} {options.resize} {options.cache_size}',
            lambda: decoded(source, self.image_shape, options.cache_size * 2**20, options.num_threads),
        )
        return source if images is None else DecodedSource(source, images)

    def source(self, split: str) -> IndexedSource:
        index, counted = self._splits[split], self.counted_options
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
        chosen = index if wanted == len(index) else index.chosen(np.arange(wanted))
        return self.make_source(chosen, form)

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
        if self.scale == 'means':
            return images - CAFFE_MEAN[::-1]
        if self.scale == 'torch':
            return (images / 255 - TORCH_MEAN) / TORCH_STD
        images = {'none': lambda: images, '0-1': lambda: images / 255, '-1-1': lambda: images / 127.5 - 1}[self.scale]()
        if self.options.mean is not None:
            images -= self._per_channel('image_mean', self.options.mean)
        return images if self.options.std is None else images / self._per_channel('image_std', self.options.std)

    @property
    def is_augmented(self) -> bool:
        return self.options.augmentation != 'none'

    def augment(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        name, padding = self.options.augmentation, self.options.crop_padding
        if name == 'none':
            return images
        if name == 'inception':
            return inception(images, seed)
        if name == 'randaugment-lite':
            return randaugment_lite(crop_and_flip(images, padding, seed), seed + 2, *self.black_and_white())
        kinds = name.split('-')
        return crop_and_flip(images, padding if 'crop' in kinds else 0, seed, 'flip' in kinds)

    def black_and_white(self) -> tuple[tf.Tensor, tf.Tensor]:
        """The values of black and of white after `normalize`, float32 `[channels]`."""
        pixel = tf.ones([1, 1, 1, self.image_shape[2]])
        return self.normalize(0 * pixel)[0, 0, 0], self.normalize(255 * pixel)[0, 0, 0]

    def _per_channel(self, flag: str, text: str) -> tf.Tensor:
        values, num_channels = numbers(flag, text), self.image_shape[2]
        if len(values) not in (1, num_channels):
            raise UsageError(f'--{flag}={text}: must be one number, or {num_channels}, as the images have channels')
        return tf.constant(values, tf.float32)

    @property
    def contents(self) -> Contents:
        """The samples, listed once."""
        return self.once('contents', self.read)

    @property
    def _splits(self) -> dict[str, SampleIndex]:
        """The samples by split, in the order in which they are used; read once."""
        return self.once('splits', self._divide)

    def once(self, key: str, make: Callable[[], Any]) -> Any:
        """What `make` returns at the first call; copies by `with_options` share it."""
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    def _divide(self) -> dict[str, SampleIndex]:
        where, indices = shown(self.options.data_dir), self.contents.indices
        if self.options.has_labels:
            indices = self._checked(indices)
        train, evaluation = indices if len(indices) == 2 else indices[0].divided(self.options.eval_share)
        self._refuse_too_few(train, evaluation)
        for what, index in (('training', train), ('evaluation', evaluation)):
            empty = self._empty_classes(index)
            if empty:
                logging.warning('no %s images of %s', what, some(empty))
        num_shared = int(np.isin(evaluation.digests, train.digests).sum())
        if num_shared:
            logging.warning(
                '%d of %d evaluation images are among the training images too: what is measured on them flatters',
                num_shared,
                len(evaluation),
            )
        logging.info('%s: %d training and %d evaluation images%s', where, len(train), len(evaluation), self._of_classes)
        return {'train': train.ordered(), 'eval': evaluation.ordered()}

    def _checked(self, indices: Sequence[SampleIndex]) -> list[SampleIndex]:
        """With labels as the task has them; raises a `UsageError` if they are no labels of the task."""
        names = SPLITS if len(indices) == 2 else ('all samples',)
        outputs = '' if self.num_outputs is None else f' (the network has {self.num_outputs} outputs)'
        return [
            dataclasses.replace(index, labels=self.checked_labels(index.labels, f'{self.name}, {name}{outputs}'))
            for name, index in zip(names, indices, strict=True)
        ]

    def _empty_classes(self, index: SampleIndex) -> list[str]:
        """Names of the classes without samples; of labels that are numbers, those below the largest that occurs."""
        if not index.has_classes:
            return []
        counts = np.bincount(index.labels, minlength=len(self.classes or ()))
        return [self._class_name(number) for number in map(int, np.flatnonzero(counts == 0))]

    def _class_name(self, number: int) -> str:
        return str(number) if self.classes is None else self.classes[number]

    @property
    def _of_classes(self) -> str:
        return '' if self.classes is None else f' of {len(self.classes)} classes: {some(self.classes)}'

    def _refuse_too_few(self, train: SampleIndex, evaluation: SampleIndex) -> None:
        where = shown(self.options.data_dir)
        if len(train) < 2:
            raise UsageError(f'{where}: {len(train)} training images can be used; at least 2 are needed')
        if not len(evaluation):
            each = 'each class' if self.options.has_labels else 'all images'
            raise UsageError(
                f'{where}: none of the images can be used for evaluation (without an evaluation part of their own, '
                f'--eval_share={self.options.eval_share} of {each}, rounded); add images'
            )
        if train.has_classes and len(np.unique(train.labels)) < 2:
            raise UsageError(
                f'{where}: all training images are of one class, {shown(self._class_name(int(train.labels[0])))}; '
                'a classifier needs images of two classes at least'
            )
