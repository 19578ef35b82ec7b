"""What the pairs at ILSVRC-12 share: images and classes as a given network takes them, weights from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import tf_keras as keras

from pocketflow.datasets.ilsvrc12_dataset import Ilsvrc12Dataset
from pocketflow.datasets.ilsvrc12_options import NUM_CLASSES, Ilsvrc12Options
from pocketflow.datasets.options import DatasetOptions
from pocketflow.nets.abstract_model_helper import ClassificationHelper, GivenFile
from pocketflow.nets.given import image_shape, num_outputs
from pocketflow.nets.options import NetOptions
from pocketflow.nets.pretrained import cached_model
from pocketflow.utils.errors import UsageError

HelperT = TypeVar('HelperT', bound='Ilsvrc12Helper')


class Ilsvrc12Helper(ClassificationHelper):
    """A pair at ILSVRC-12.

    The size of the images and the number of the outputs (1000, or 1001 with a background) are those of the network at
    `--save_path`, if one is given. Subclasses set `pretrained_scale`, and override `pretrained_network`, if there are
    weights of `tf_keras.applications`.
    """

    dataset_class = Ilsvrc12Dataset
    dataset: Ilsvrc12Dataset
    num_epochs: float = 100
    boundaries: tuple[float, ...] = (30, 60, 80, 90)

    @classmethod
    def of_options(
        cls: type[HelperT], net_options: NetOptions, data_options: DatasetOptions, seed: int, given: GivenFile | None
    ) -> HelperT:
        assert isinstance(data_options, Ilsvrc12Options)
        shape: tuple[int | None, int | None, int] = (None, None, 3)
        outputs: int | None = None
        scale: str | None = None
        if given is not None and given.path.exists():
            model = given.reader.read(given.path).model
            shape, outputs = image_shape(model, given.named, 'ilsvrc12'), num_outputs(model)
        elif cls.is_pretrained(net_options):
            if data_options.num_outputs not in (None, NUM_CLASSES):
                raise UsageError(
                    f'--nb_classes={data_options.num_outputs}: the weights of --pretrained are for {NUM_CLASSES} '
                    'classes; drop the flag'
                )
            outputs, scale = NUM_CLASSES, cls.pretrained_scale(net_options)
        return cls(net_options, cls.dataset_class(data_options, seed, shape, scale, outputs))

    @classmethod
    def is_pretrained(cls, net_options: NetOptions) -> bool:
        """Whether the network begins with the weights of `tf_keras.applications`."""
        return getattr(net_options, 'pretrained', None) is not None

    @classmethod
    def pretrained_scale(cls, net_options: NetOptions) -> str:
        """The `--image_scale` that the pretrained weights need."""
        raise NotImplementedError

    def pretrained_network(self) -> keras.Model:
        """The network with the ImageNet weights of `tf_keras.applications`."""
        raise NotImplementedError

    def pretrained_file(self) -> Path | None:
        if not self.is_pretrained(self.net):
            return None
        size = 'x'.join(map(str, self.dataset.image_shape[:2]))
        return cached_model(f'{self.model_name}-{size}', self.pretrained_network)
