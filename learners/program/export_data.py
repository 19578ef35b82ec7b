"""The samples on which exported files are calibrated, run and compared."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pocketflow.datasets.sourced_dataset import SourcedDataset
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.inputs import PixelInput, as_pixels
from pocketflow.utils.export.options import UINT8, ExportOptions
from pocketflow.utils.system.memory import available_bytes, in_words
from pocketflow.utils.tasks.nests import Nest, concatenated, flat_shapes


@dataclasses.dataclass(frozen=True)
class Samples:
    """Evaluation samples: images `[N, ...]` as the network takes them, labels `[N]`, and the pixels for files that take
    these.
    """

    images: Nest
    labels: Nest
    pixels: np.ndarray | None = None


class ExportData:
    """What the export of a pair's models reads of its data set, each part once and when it is first asked for.

    Args:
      helper: the pair.
      options: numbers of samples, and what the files take.
    """

    def __init__(self, helper: AbstractModelHelper, options: ExportOptions):
        self._helper, self._options = helper, options

    @functools.cached_property
    def pixels(self) -> PixelInput | None:
        """The normalisation of files that take pixels; None if they take normalised images."""
        return pixel_input(self._helper.dataset) if self._options.input == UINT8 else None

    @functools.cached_property
    def samples(self) -> Samples:
        """The evaluation samples on which the files are run."""
        dataset = self._helper.dataset
        numbers = np.arange(num_run(dataset, self._options))
        batches = dataset.ordered_batches('eval', numbers, normalised=self.pixels is None).as_numpy_iterator()
        images, labels = concatenated(list(batches))
        if self.pixels is None:
            return Samples(images, labels)
        pixels = as_pixels(images)
        return Samples(self.pixels.normalised(pixels), labels, pixels)

    @functools.cached_property
    def calibration(self) -> Nest:
        """Training images, as the files take them."""
        images = self._helper.training_images(self._options.num_calibration, normalised=self.pixels is None)
        return images if self.pixels is None else as_pixels(images)


def pixel_input(dataset: SourcedDataset) -> PixelInput:
    """The normalisation of a data set, for files that take its pixels.

    Raises:
      UsageError: the samples of its first batch are no images of pixels.
    """
    images = next(iter(dataset.ordered_batches('eval', [0], normalised=False)))[0]
    if not tf.is_tensor(images):
        raise UsageError(
            f'--export_input=uint8: {dataset.name} has several inputs; give --export_input=normalised, files with '
            'pixels have one'
        )
    as_pixels(images.numpy())
    return PixelInput(dataset.normalize, images.dtype, dataset.image_shape)


def check_export(dataset: SourcedDataset, options: ExportOptions, formats: Sequence[str]) -> None:
    """Raises a `UsageError` if the files of the requested formats cannot be written or measured.

    Args:
      dataset: the data set; it is read.
      options: the options of the export.
      formats: the formats without which the export fails.
    """
    require_memory(num_run(dataset, options), dataset.image_shape)
    if options.input == UINT8 and pixel_input(dataset).affine is None and 'int8' in formats:
        raise UsageError(
            f'--export_input=uint8: the images of {dataset.name} are not normalised pixel by pixel with fixed numbers, '
            'which an int8 file could do; give --export_input=normalised, or other --export_formats'
        )


def num_run(dataset: SourcedDataset, options: ExportOptions) -> int:
    """Number of evaluation samples on which each exported file is run."""
    num_all = len(dataset.source('eval'))
    return min(num_all, options.num_eval or num_all)


def require_memory(num_images: int, image_shape: Any, available: int | None = None) -> None:
    """Raises a `UsageError` if the images on which exported files are run do not fit into memory.

    Args:
      num_images: number of float32 images, which are held twice while they are concatenated.
      image_shape: shape of each image, or a structure of shapes of several inputs.
      available: bytes; default: as reported by the system. Nothing is checked if it reports nothing.
    """
    available = available_bytes() if available is None else available
    one = 2 * 4 * sum(math.prod(shape) for shape in flat_shapes(image_shape))
    if available is not None and num_images * one > available:
        raise UsageError(
            f'running the exported files on {num_images} evaluation images would take {in_words(num_images * one)} of '
            f'memory; {in_words(available)} are available: give --nb_smpls_export_eval={available // (2 * one)} or less'
        )
