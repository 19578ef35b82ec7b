"""Pairs of a trained network in a file and images of any size: a folder, arrays, records."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras
from absl import logging

from pocketflow.datasets.folder_dataset import FolderDataset
from pocketflow.datasets.ilsvrc12_dataset import Ilsvrc12Dataset
from pocketflow.datasets.image_dataset import ImageDataset
from pocketflow.datasets.image_options import ImageOptions
from pocketflow.datasets.npz_dataset import NpzDataset
from pocketflow.datasets.options import DatasetOptions
from pocketflow.datasets.sources.image_folders import shown, some
from pocketflow.datasets.tfrecord_dataset import TfrecordDataset
from pocketflow.nets.abstract_model_helper import GivenFile, TaskHelper
from pocketflow.nets.answers import answers_of
from pocketflow.nets.given_options import GivenOptions
from pocketflow.nets.options import PAIRS, NetOptions
from pocketflow.nets.tasks import Classification, MultiLabel, Regression, Task, agreement_with
from pocketflow.nets.tasks.agreement import SameClass
from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph import nodes_in_order, standard_form
from pocketflow.utils.quantization.int8.inspect import unwrapped
from pocketflow.utils.training.trainer import Evaluation

PREPROCESSING = (keras.layers.Rescaling, keras.layers.Normalization)
"""Layers that normalise pixels inside a network."""
NUM_TRIED, MUCH_BETTER = 200, 0.1
"""Number of images on which other pixel scales are tried, and the gain in accuracy for which one is suggested."""
ONE_ANSWER = 0.9
"""Share of the images with the same answer above which a warning is given if there are no labels."""
OPERATOR = 'TFOpLambda'
"""Class of TensorFlow operations in a network; before the first layer with weights they process pixels."""


TASKS: Mapping[str, type[Task]] = {
    'classification': Classification,
    'multi-label': MultiLabel,
    'regression': Regression,
}


class GivenNetwork(TaskHelper):
    """The network of a file; its input shape defines the size of the images, its outputs are the classes or numbers.

    The defaults are those of fine-tuning: the network is trained already, and never from the start. Subclasses set
    `dataset_class`.
    """

    net_options_class = GivenOptions
    dataset_class: type[ImageDataset]
    dataset: ImageDataset
    num_epochs = 250  # of which learners take a share, 10 epochs by default
    model_name = 'given'
    _named: str | None = None

    def __init__(self, net_options: NetOptions, dataset: ImageDataset):
        assert isinstance(net_options, GivenOptions)
        kind = TASKS[net_options.task or Classification.name]
        self.task = Classification(dataset.declared_classes) if kind is Classification else kind()
        super().__init__(net_options, dataset)
        has_other_labels = dataset.options.has_labels and not isinstance(self.task, Classification)
        if has_other_labels and dataset.name == FolderDataset.name:
            raise UsageError(
                f'--task={net_options.task}: a folder of images has classes only; give labels as arrays '
                '(--dataset=npz) or in records (--dataset=tfrecord)'
            )

    @classmethod
    def of_options(
        cls, net_options: NetOptions, data_options: DatasetOptions, seed: int, given: GivenFile | None
    ) -> GivenNetwork:
        if given is None:
            raise UsageError(
                f'--save_path is missing; with --dataset={cls.dataset_class.name} it names the trained network'
            )
        model = given.reader.read(given.path).model
        shape = image_shape(model, given.named, cls.dataset_class.name)
        assert isinstance(data_options, ImageOptions)
        asked = data_options.size
        if asked is not None and any(have not in (None, want) for have, want in zip(shape[:2], asked, strict=True)):
            raise UsageError(
                f'--image_size={data_options.image_size}: {given.named} takes images of {shape[0]} x {shape[1]} '
                'pixels; drop the flag'
            )
        layer = preprocessing_layer(model)
        dataset = cls.dataset_class(
            data_options, seed, shape, default_scale='0-1' if layer is None else 'none', num_outputs=num_outputs(model)
        )
        logging.info(
            '%s: gets pixels as --image_scale=%s%s',
            given.named,
            dataset.scale,
            f', because its layer {layer!r} does the rest' if layer and data_options.scale == 'auto' else '',
        )
        dataset.normalize(tf.zeros([1, *dataset.image_shape]))  # raises an error for flags that do not fit the channels
        helper = cls(net_options, dataset)
        helper._named, helper.model_name = given.named, name_of(given.named)
        if not data_options.has_labels:
            assert isinstance(net_options, GivenOptions)
            helper._learn_answers(given.reader.read(given.original or given.path).model, net_options.task)
        return helper

    def _learn_answers(self, original: keras.Model, asked: str | None) -> None:
        """Makes the outputs of the uncompressed network the labels of all batches."""
        try:
            flat = standard_form(original, self.dataset.image_shape, wants_logits=False).model
            self.task = agreement_with(flat, asked)
        except UsageError as error:
            raise UsageError(f'{self.model_source}: {error}') from error
        teacher = self.standard_form(original, self.model_source, 'is it a network of images?').model
        self.dataset.answers = answers_of(teacher)
        logging.info('%s', self.task.note)

    def check_shapes(self, model: keras.Model, source: str, remedy: str) -> None:
        outputs, classes = model.output_shape, self.dataset.classes
        if (
            isinstance(self.task, Classification)
            and len(outputs) == 2
            and classes is not None
            and outputs[1] != len(classes)
        ):
            remedy = 'its outputs must be these classes, in this order'
            raise UsageError(
                f'{source}: has {outputs[1]} outputs, but {shown(self.dataset.options.data_dir)} has images of '
                f'{len(classes)} classes ({some(classes)}); {remedy}'
            )
        super().check_shapes(model, source, f'give a network of images for this task, {self.task.name}')

    def warn_of_poor(self, model: keras.Model, metrics: Mapping[str, float]) -> None:
        if isinstance(self.task, SameClass):
            self._warn_of_one_answer()
        if not isinstance(self.task, Classification):
            return
        accuracy, chance = metrics['accuracy'], 1 / (self.dataset.num_classes or 1)
        if accuracy > (1 + chance) / 2:
            return
        now, others = self._accuracies(model)
        best = max(others, key=lambda scale: others[scale])
        if others[best] > now + MUCH_BETTER:
            logging.warning(
                '%s: right on %.1f %% of the images, but on %.1f %% of %d of them with --image_scale=%s: give that, if '
                'it was trained so',
                self.model_source,
                100 * accuracy,
                100 * others[best],
                NUM_TRIED,
                best,
            )
        elif accuracy < 1.5 * chance:
            logging.warning(
                '%s: right on %.1f %% of the images, hardly more than by chance: do its outputs have the order of the '
                'classes%s, and are pixels scaled as in its training (--image_scale, --image_mean, --image_std)?',
                self.model_source,
                100 * accuracy,
                '' if self.dataset.classes is None else f' ({some(self.dataset.classes)})',
            )

    def _warn_of_one_answer(self) -> None:
        """Warns if the uncompressed network gives nearly all evaluation images the same class."""
        numbers = np.arange(min(NUM_TRIED, len(self.dataset.source('eval'))))
        batches = self.dataset.ordered_batches('eval', numbers).as_numpy_iterator()
        counts = np.bincount(np.concatenate([np.argmax(answers, axis=-1) for _, answers in batches]))
        if counts.max() > ONE_ANSWER * len(numbers):
            logging.warning(
                '%s: gives the class %d to %d of %d images, so that the agreement says little; do the images show all '
                'that it tells apart, and are pixels scaled as in its training (--image_scale, --image_mean, '
                '--image_std)?',
                self.model_source,
                counts.argmax(),
                counts.max(),
                len(numbers),
            )

    def _accuracies(self, model: keras.Model) -> tuple[float, dict[str, float]]:
        """Accuracy on the first evaluation images: with the present pixel scale, and by each other scale."""
        numbers = np.arange(min(NUM_TRIED, len(self.dataset.source('eval'))))
        present = None if (self.dataset.options.mean, self.dataset.options.std) != (None, None) else self.dataset.scale
        others = [scale for scale in self.dataset.scales if scale != present]
        data = [self.dataset, *(self.dataset.with_options(scale=scale, mean=None, std=None) for scale in others)]
        batches = [each.ordered_batches('eval', numbers) for each in data]
        evaluation = Evaluation(model, self.calc_loss, batches[0], self.task)  # traced once for all
        now, *found = (evaluation(batches=each)['accuracy'] for each in batches)
        return now, dict(zip(others, found, strict=True))

    @property
    def model_source(self) -> str:
        return f'--save_path={self._named}'

    def build_model(self) -> keras.Model:
        raise UsageError(
            f'{self.model_source}: a given network is not trained from random weights; give --enbl_warm_start to '
            'train it on, or a learner that compresses it'
        )


@PAIRS.register('given_at_folder')
class GivenAtFolder(GivenNetwork):
    """A given network and a folder of images."""

    dataset_class = FolderDataset


@PAIRS.register('given_at_npz')
class GivenAtNpz(GivenNetwork):
    """A given network and arrays of images."""

    dataset_class = NpzDataset


@PAIRS.register('given_at_tfrecord')
class GivenAtTfrecord(GivenNetwork):
    """A given network and records of images."""

    dataset_class = TfrecordDataset


@PAIRS.register('given_at_ilsvrc12')
class GivenAtIlsvrc12(GivenNetwork):
    """A given network and ILSVRC-12."""

    dataset_class = Ilsvrc12Dataset


def num_outputs(model: keras.Model) -> int | None:
    """Number of values that a network computes for each image; None if that is no fixed number."""
    try:
        shape = model.output_shape
    except (AttributeError, RuntimeError):  # a Sequential model that was saved before it was built
        return None
    return shape[1] if isinstance(shape, tuple) and len(shape) == 2 else None


def image_shape(model: keras.Model, path: str, dataset: str) -> tuple[int | None, int | None, int]:
    """(height, width, channels) of the images that a network takes; height and width may be None, for any.

    Raises:
      UsageError: it takes something else.
    """
    try:
        shape = model.input_shape
    except (AttributeError, RuntimeError):  # a Sequential model that was saved before it was built
        return None, None, 3
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] not in (1, 3):
        raise UsageError(
            f'{path}: takes inputs of shape {shape}; --dataset={dataset} needs one of (None, height, width, channels) '
            'with 3 channels, or 1 for grey'
        )
    return shape[1:]


def preprocessing_layer(model: keras.Model) -> str | None:
    """The name of the first layer that normalises pixels; None if the network expects normalised input."""
    calls = nodes_in_order(standard_form(model, wants_logits=False).model)
    for call in calls:
        layer = unwrapped(call.layer)
        if isinstance(layer, PREPROCESSING) or type(layer).__name__ == OPERATOR:
            return layer.name
        if layer.weights:
            return None
    return None


def name_of(given: str) -> str:
    """Name of a network in reports: that of its file without the suffix, or of its run directory."""
    stem = Path(given).name.removesuffix('.keras').removesuffix('.h5')
    return re.sub(r'[^\w.+-]+', '_', stem) or 'given'
