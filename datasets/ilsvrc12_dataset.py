"""ILSVRC-12, the 1,000 classes of ImageNet (Russakovsky et al., IJCV 2015), as TFRecord files in TF-Slim's layout.

The files are `train-00000-of-01024` ... and `validation-00000-of-00128` ..., in any numbers; their records hold
`image/encoded`, `image/class/label` and, if there are any, boxes of objects (`image/object/bbox/...`).
`pocketflow.datasets.build_ilsvrc12` writes them.

Training images are random parts of which half are mirrored; evaluation images are cut out of the middle. EXIF
orientations are ignored, as they were in the training of all published networks.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from pocketflow.datasets.augmentation import brightness_and_saturation, flip
from pocketflow.datasets.files import file_size, list_tree
from pocketflow.datasets.ilsvrc12_options import INCEPTION, NUM_CLASSES, RANDOM, RESNET, SPLITS, Ilsvrc12Options
from pocketflow.datasets.image_dataset import Contents
from pocketflow.datasets.sources.decoding import Form
from pocketflow.datasets.sources.examples import Features
from pocketflow.datasets.sources.image_folders import shown
from pocketflow.datasets.sources.index import IndexedSource, SampleIndex
from pocketflow.datasets.sources.random_parts import RandomPartSource
from pocketflow.datasets.sources.records import RecordIndex, RecordSource
from pocketflow.datasets.tfrecord_dataset import TfrecordDataset
from pocketflow.utils.errors import UsageError

IMAGE, LABEL = 'image/encoded', 'image/class/label'
DEFAULT_SIZE = 224
COMPLETE = {'train': (1024, 1281167), 'validation': (128, 50000)}
"""Usual number of files of a split, and number of images in the complete set."""
SCALES = {RESNET: 'means', INCEPTION: '-1-1'}
"""What `--image_scale=auto` means, by the preprocessing."""


class Ilsvrc12Dataset(TfrecordDataset):
    """Colour images in 1,000 classes; 1,281,167 for training and 50,000 for evaluation if the set is complete.

    Args:
      options: what is made of the files.
      seed: changes the order of the training images and how they are augmented.
      image_shape: (height, width, channels) of what a given network takes.
      default_scale: what `--image_scale=auto` means; default: by the preprocessing.
      num_outputs: number of the outputs of a given network.
    """

    name = 'ilsvrc_12'
    options_class = Ilsvrc12Options
    options: Ilsvrc12Options

    def __init__(
        self,
        options: Ilsvrc12Options,
        seed: int = 0,
        image_shape: tuple[int | None, int | None, int] = (None, None, 3),
        default_scale: str | None = None,
        num_outputs: int | None = None,
    ):
        if image_shape[2] != 3:
            raise UsageError(f'the network takes images of {image_shape[2]} channels; those of ILSVRC-12 have 3')
        shape = (image_shape[0] or DEFAULT_SIZE, image_shape[1] or DEFAULT_SIZE, image_shape[2])
        super().__init__(options, seed, shape, default_scale or SCALES[options.preprocessing], num_outputs)

    @property
    def num_classes(self) -> int:
        fits = self.num_outputs in (NUM_CLASSES, NUM_CLASSES + 1)
        return self.options.num_outputs or (self.num_outputs if fits and self.num_outputs else NUM_CLASSES + 1)

    @property
    def declared_classes(self) -> int:
        return self.num_classes

    def read(self) -> Contents:
        contents = super().read()
        for split, index in zip(SPLITS.values(), contents.indices, strict=True):
            assert isinstance(index, RecordIndex)
            num_files, num_images = COMPLETE[split]
            if len(index.files) == num_files and len(index) != num_images:
                logging.warning(
                    '%s: the %d %s files hold %d images that can be used; %d are in the complete set',
                    shown(self.options.data_dir),
                    num_files,
                    split,
                    len(index),
                    num_images,
                )
        return contents

    def files(self, where: str) -> list[list[str]]:
        names = self.options.check_names(name for name in list_tree(where) if '/' not in name)
        paths = [[f'{where.rstrip("/")}/{name}' for name in part] for part in names]
        for path in itertools.chain(*paths):
            if not file_size(path):
                raise UsageError(f'{shown(path)}: holds no records; complete it')
        return paths

    def features(self, paths: Sequence[str]) -> Features:
        return Features(IMAGE, LABEL if self.options.has_labels else None)

    def make_source(self, index: SampleIndex, form: Form) -> RecordSource:
        assert isinstance(index, RecordIndex)
        upright = dataclasses.replace(index, orientations=np.ones_like(index.orientations))
        return RecordSource(upright, dataclasses.replace(form, fit=self.options.preprocessing))

    def training_source(self) -> IndexedSource:
        source = self.source('train')
        if self.options.changes != RANDOM:
            return source
        assert isinstance(source, RecordSource)
        return RandomPartSource(source.index, source.form, self.seed)

    @property
    def is_augmented(self) -> bool:
        return self.options.changes == RANDOM

    def augment(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        if self.options.changes != RANDOM:
            return images
        images = flip(images, seed)
        if self.options.preprocessing == INCEPTION:
            images = brightness_and_saturation(images, seed + 1, *self.black_and_white())
        return images

    def _checked(self, indices: Sequence[SampleIndex]) -> list[SampleIndex]:
        """With class numbers for the network's outputs as labels; others than those of the set are refused."""
        offset = self.num_classes - NUM_CLASSES - self.options.first_label
        shifted = []
        for split, index in zip(SPLITS, indices, strict=True):
            self._refuse_wrong_labels(index, split)
            shifted.append(dataclasses.replace(index, labels=index.labels + offset))
        return super()._checked(shifted)

    def _refuse_wrong_labels(self, index: SampleIndex, split: str) -> None:
        assert isinstance(index, RecordIndex)
        if not len(index):
            raise UsageError(f'{shown(self.options.data_dir)}: no images in the {SPLITS[split]} files can be used')
        first, labels = self.options.first_label, index.labels
        last = first + NUM_CLASSES - 1
        if labels.dtype.kind != 'i' or labels.ndim != 1:
            raise UsageError(
                f'{index.place(0)}: image/class/label is no whole number; expected is one from {first} to {last}'
            )
        wrong = np.flatnonzero((labels < first) | (labels > last))
        if len(wrong):
            label, other = int(labels[wrong[0]]), 1 - first
            fits_other = labels.min() >= other and labels.max() < other + NUM_CLASSES
            remedy = f'; if they begin at {other}, give --ilsvrc12_first_label={other}' if fits_other else ''
            raise UsageError(f'{index.place(int(wrong[0]))}: label {label} found, expected {first} to {last}{remedy}')

    def _empty_classes(self, index: SampleIndex) -> list[str]:
        empty = super()._empty_classes(index)
        return empty[1:] if self.num_classes > NUM_CLASSES else empty  # without the background
