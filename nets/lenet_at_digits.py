"""LeNet at scikit-learn's handwritten digits: the quickstart's pair."""

from __future__ import annotations

import tf_keras as keras

from pocketflow.datasets.digits_dataset import DigitsDataset
from pocketflow.nets.abstract_model_helper import ClassificationHelper
from pocketflow.nets.lenet import lenet
from pocketflow.nets.lenet_at_digits_options import LenetAtDigitsOptions
from pocketflow.nets.options import PAIRS


@PAIRS.register('lenet_at_digits')
class LenetAtDigits(ClassificationHelper):
    """LeNet with same-padding, because the images have only 8 x 8 pixels."""

    net_options_class = LenetAtDigitsOptions
    dataset_class = DigitsDataset
    model_name = 'lenet'
    num_epochs = 60
    boundaries = (30, 40, 50)

    def build_model(self) -> keras.Model:
        return lenet(self.dataset.image_shape, self.dataset.num_classes, padding='same')
