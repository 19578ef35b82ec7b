"""ResNet-20, 32, 44, 56 and 110 at CIFAR-10."""

from __future__ import annotations

import tf_keras as keras

from pocketflow.datasets.cifar10_dataset import Cifar10Dataset
from pocketflow.nets.abstract_model_helper import ClassificationHelper
from pocketflow.nets.options import PAIRS
from pocketflow.nets.resnet import resnet
from pocketflow.nets.resnet_at_cifar10_options import ResnetAtCifar10Options


@PAIRS.register('resnet_at_cifar10')
class ResnetAtCifar10(ClassificationHelper):
    """Pre-activation ResNet; published top-1 accuracies after 250 epochs: 91.93 % (20) to 93.23 % (56)."""

    net_options_class = ResnetAtCifar10Options
    net: ResnetAtCifar10Options
    dataset_class = Cifar10Dataset
    num_epochs = 250
    boundaries = (100, 150, 200)

    @property
    def model_name(self) -> str:
        return f'resnet_{self.net.size}'

    def build_model(self) -> keras.Model:
        return resnet(self.net.size, self.dataset.image_shape, self.dataset.num_classes)
