"""LeNet at CIFAR-10."""

from __future__ import annotations

import tf_keras as keras

from pocketflow.datasets.cifar10_dataset import Cifar10Dataset
from pocketflow.nets.abstract_model_helper import PAIRS, ClassificationHelper, NetOptions
from pocketflow.nets.lenet import lenet
from pocketflow.utils.options import with_defaults


@PAIRS.register('lenet_at_cifar10')
class LenetAtCifar10(ClassificationHelper):
    """LeNet with 466,122 parameters; published top-1 accuracy 81.79 % after 250 epochs."""

    net_options_class = with_defaults(NetOptions, 'LenetAtCifar10Options', learning_rate=0.01, weight_decay=5e-4)
    dataset_class = Cifar10Dataset
    model_name = 'lenet'
    num_epochs = 250
    boundaries = (100, 150, 200)

    def build_model(self) -> keras.Model:
        return lenet(self.dataset.image_shape, self.dataset.num_classes)
