"""A trained network from a file at a folder of images: nothing has to be written."""

from __future__ import annotations

import re
from pathlib import Path

import tf_keras as keras

from pocketflow.datasets.folder_dataset import FolderDataset
from pocketflow.datasets.options import DatasetOptions
from pocketflow.datasets.sources.image_folders import some
from pocketflow.nets.abstract_model_helper import ClassificationHelper, GivenFile
from pocketflow.nets.given_at_folder_options import GivenAtFolderOptions
from pocketflow.nets.options import PAIRS, NetOptions
from pocketflow.utils.container import load_container
from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.format_names import CONTAINER
from pocketflow.utils.graph import nodes_in_order, standard_form
from pocketflow.utils.models.files import load_model

PREPROCESSING = (keras.layers.Rescaling, keras.layers.Normalization)
"""Layers that make of values from 0 to 255 what the rest of a network takes."""


@PAIRS.register('given_at_folder')
class GivenAtFolder(ClassificationHelper):
    """The network of a file; its input says the size of the images, its outputs are the classes.

    The defaults are those of fine-tuning: the network is trained already, and never from the start.
    """

    net_options_class = GivenAtFolderOptions
    dataset_class = FolderDataset
    num_epochs = 100
    model_name = 'given'
    _named: str | None = None

    @classmethod
    def of_options(
        cls, net_options: NetOptions, data_options: DatasetOptions, seed: int, given: GivenFile | None
    ) -> GivenAtFolder:
        if given is None:
            raise UsageError('--save_path is missing; with --dataset=folder it names the trained network')
        is_container = given.path.suffix == f'.{CONTAINER}'
        model = load_container(given.path).model if is_container else load_model(given.path)
        shape = image_shape(model, given.named)
        asked = data_options.size
        if asked is not None and any(have not in (None, want) for have, want in zip(shape[:2], asked, strict=True)):
            raise UsageError(
                f'--image_size={data_options.image_size}: {given.named} takes images of {shape[0]} x {shape[1]} '
                'pixels; drop the flag'
            )
        dataset = cls.dataset_class(data_options, seed, shape, default_scale='none' if preprocesses(model) else '0-1')
        helper = cls(net_options, dataset)
        helper._named, helper.model_name = given.named, name_of(given.named)
        return helper

    def check_shapes(self, model: keras.Model, source: str, remedy: str) -> None:
        outputs, classes = model.output_shape, self.dataset.classes
        if len(outputs) == 2 and outputs[1] != len(classes):
            remedy = 'its outputs must be these classes, in this order'
            if outputs[1] == 1 and len(classes) == 2:
                remedy = 'a single output, for a yes or no, is not supported; give it one for each class'
            raise UsageError(
                f'{source}: has {outputs[1]} outputs, but {self.dataset.options.data_dir} has folders of '
                f'{len(classes)} classes ({some(classes)}); {remedy}'
            )
        super().check_shapes(model, source, 'give a classifier of images')

    @property
    def model_source(self) -> str:
        return f'--save_path={self._named}'

    def build_model(self) -> keras.Model:
        raise UsageError(
            f'{self.model_source}: a given network is not trained from random weights; give --enbl_warm_start to '
            'train it on, or a learner that compresses it'
        )


def image_shape(model: keras.Model, path: str) -> tuple[int | None, int | None, int]:
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
            f'{path}: takes inputs of shape {shape}; --dataset=folder needs one of (None, height, width, channels) '
            'with 3 channels, or 1 for grey'
        )
    return shape[1:]


def preprocesses(model: keras.Model) -> bool:
    """Whether a network begins with layers that scale pixels, so that it takes values from 0 to 255."""
    calls = nodes_in_order(standard_form(model).model)
    for call in calls:
        if isinstance(call.layer, PREPROCESSING):
            return True
        if call.layer.weights:
            return False
    return False


def name_of(given: str) -> str:
    """The name of a network, for reports: that of its file without the ending, or of its run directory."""
    stem = Path(given).name.removesuffix('.keras').removesuffix('.h5')
    return re.sub(r'[^\w.+-]+', '_', stem) or 'given'
