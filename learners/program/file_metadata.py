"""The description that an exported file carries: what it takes and gives, the names of the classes, its figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from absl import logging

from pocketflow.datasets.sourced_dataset import SourcedDataset
from pocketflow.learners.program.conversions import reason_of_failure
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.agreement import Agreement
from pocketflow.utils.export.inputs import PixelInput, as_pixels
from pocketflow.utils.export.metadata import Image, Metadata, Tensor, with_metadata
from pocketflow.utils.export.options import UINT8, ExportOptions
from pocketflow.utils.export.signature import input_names, output_names
from pocketflow.utils.graph import Head
from pocketflow.utils.system.atomic import replacing

PROBABILITY = 'probability'
"""The name that readers give to the scores of a classifier."""
CHANNELS = (1, 3)


@dataclasses.dataclass(frozen=True)
class Described:
    """What the files of one model have in common.

    Attributes:
      helper: the pair.
      options: the options of the export.
      model: the network as exported.
      head: what its outputs went through, if that is in the files.
      learners: names of the learners that made it.
      num_samples: number of evaluation samples.
    """

    helper: AbstractModelHelper
    options: ExportOptions
    model: keras.Model
    head: Head | None
    learners: Sequence[str]
    num_samples: int

    def metadata(self, file_format: str, agreement: Agreement) -> Metadata:
        """The description of a file of this format, with its agreement with the network."""
        helper, labels = self.helper, self._labels
        made = f', made by {",".join(self.learners)}' if self.learners else ''
        figures = {name: round(value, 6) for name, value in agreement.metrics.items()}
        said = ', '.join(f'{name} {value:.4g}' for name, value in figures.items())
        measured = f' On {self.num_samples} evaluation samples: {said}.' if said else ''
        return Metadata(
            name=helper.model_name,
            description=self.options.description
            or f'{helper.model_name} at {helper.dataset_name}{made}, {file_format}.{measured}',
            version=self.options.version or '',
            author=self.options.author or '',
            license=self.options.license or '',
            inputs=self._inputs,
            outputs=self._outputs,
            labels=labels,
            figures={
                'model': helper.model_name,
                'dataset': helper.dataset_name,
                'learners': list(self.learners),
                'format': file_format,
                'evaluation_samples': self.num_samples,
                'metrics': figures,
                'same_answers': round(agreement.same_answers, 6),
                'relative_max_abs_diff': float(f'{agreement.relative_max_abs_diff:.3g}'),
            },
        )

    @property
    def _labels(self) -> tuple[str, ...]:
        """Names of the classes, if there is a score for each."""
        classes, outputs = self.helper.dataset.classes, self.model.outputs
        if classes is None or len(outputs) != 1 or tuple(outputs[0].shape) != (None, len(classes)):
            return ()
        return tuple(map(_one_line, classes))

    @property
    def _inputs(self) -> dict[str, Tensor]:
        names = input_names(self.model)
        if len(names) > 1:
            return {name: Tensor(name, 'Normalised as in training.') for name in names}
        return {names[0]: image_tensor(self.helper.dataset, self.options.input == UINT8)}

    @property
    def _outputs(self) -> dict[str, Tensor]:
        names, labels = output_names(self.model), self._labels
        if len(names) > 1:
            return {name: Tensor(name) for name in names}
        if self.head is not None and self.head.function in ('softmax', 'sigmoid'):
            what = 'Probabilities of the classes.' if labels else 'Probabilities.'
            return {names[0]: Tensor(PROBABILITY, what, has_labels=bool(labels), limits=(0.0, 1.0))}
        if labels:
            return {names[0]: Tensor('logits', 'A score of each class; the largest is the answer.', has_labels=True)}
        return {names[0]: Tensor(names[0])}


def write_described(path: Path, metadata: Metadata, try_out: Callable[[str, bytes], None], file_format: str) -> None:
    """Adds its description to a file, and runs it once more before it replaces the one without.

    The file stays as it was, with a warning, if that fails: it is complete without a description.
    """
    try:
        content = with_metadata(path.read_bytes(), metadata)
        try_out(file_format, content)
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except Exception as error:  # of any kind, as those of the writers of files
        logging.warning('%s has no description: %s', path, reason_of_failure(error))


def image_tensor(dataset: SourcedDataset, takes_pixels: bool) -> Tensor:
    """The description of the input of a network that has one.

    The normalisation of a data set is given per channel if it is `(pixel - mean) / std` with fixed numbers.

    Args:
      dataset: the data set.
      takes_pixels: whether the normalisation is in the file.
    """
    shape = dataset.image_shape
    if isinstance(shape, Mapping) or len(shape) != 3 or shape[-1] not in CHANNELS:
        return Tensor('input', 'Normalised as in training.')
    channels = int(shape[-1])
    if takes_pixels:
        return Tensor('image', 'Pixels from 0 to 255.', Image(channels, (0.0,), (1.0,)))
    found = mean_and_std(dataset)
    if found is None:
        return Tensor('image', 'Normalised as in training, by no fixed mean and deviation.', Image(channels))
    return Tensor('image', 'Pixels, normalised as (pixel - mean) / std.', Image(channels, *found))


def mean_and_std(dataset: SourcedDataset) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """(mean, std) of each channel, in the data set's pixel values; None if images are normalised otherwise."""
    images = next(iter(dataset.ordered_batches('eval', [0], normalised=False)))[0]
    if not tf.is_tensor(images):
        return None
    try:
        as_pixels(images.numpy())
    except UsageError:
        return None
    affine = PixelInput(dataset.normalize, images.dtype, dataset.image_shape).affine
    if affine is None or affine.scales is None or not np.all(affine.scales):
        return None
    std = 1 / affine.scales
    return _rounded(-affine.offset * std), _rounded(std)


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    """To five digits: the numbers come out of float32 arithmetic."""
    return tuple(float(f'{value:.5g}') + 0.0 for value in values)


def _one_line(name: Any) -> str:
    """The name of a class without line breaks, since a line is a label."""
    return ' '.join(str(name).split()) or '?'
