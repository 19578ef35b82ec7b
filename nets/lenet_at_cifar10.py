"""LeNet at CIFAR-10."""

from __future__ import annotations

import tf_keras as keras

from pocketflow.datasets.cifar10_dataset import Cifar10Dataset
from pocketflow.nets.abstract_model_helper import ClassificationHelper
from pocketflow.nets.lenet import lenet
from pocketflow.nets.lenet_at_cifar10_options import LenetAtCifar10Options
from pocketflow.nets.options import PAIRS


@PAIRS.register('lenet_at_cifar10')
class LenetAtCifar10(ClassificationHelper):
    """LeNet with 466,122 parameters; published top-1 accuracy 81.79 % after 250 epochs."""

    net_options_class = LenetAtCifar10Options
    dataset_class = Cifar10Dataset
    model_name = 'lenet'
    num_epochs = 250
    boundaries = (100, 150, 200)

    def build_model(self) -> keras.Model:
        return lenet(self.dataset.image_shape, self.dataset.num_classes)
