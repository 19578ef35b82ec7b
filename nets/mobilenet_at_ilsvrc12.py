"""MobileNet v1 and v2 at ILSVRC-12."""

from __future__ import annotations

import tf_keras as keras

from pocketflow.datasets.ilsvrc12_dataset import Ilsvrc12Dataset
from pocketflow.nets.ilsvrc12_helper import Ilsvrc12Helper
from pocketflow.nets.mobilenet_at_ilsvrc12_options import MobilenetAtIlsvrc12Options
from pocketflow.nets.mobilenet_v1 import mobilenet_v1
from pocketflow.nets.mobilenet_v2 import mobilenet_v2
from pocketflow.nets.options import PAIRS, NetOptions
from pocketflow.nets.pretrained import application, copy_in_order
from pocketflow.utils.training.schedules import Schedule

EPOCHS_OF_V2, DECAY_EPOCHS, DECAY = 412, 2.5, 0.98**2.5
"""Of version 2: length of the training; epochs after which the learning rate is multiplied by the factor."""


@PAIRS.register('mobilenet_at_ilsvrc12')
class MobilenetAtIlsvrc12(Ilsvrc12Helper):
    """MobileNet; published top-1 accuracies: 70.89 % (version 1, 100 epochs), 71.84 % (version 2, 412 epochs)."""

    net_options_class = MobilenetAtIlsvrc12Options
    net: MobilenetAtIlsvrc12Options
    factors = (1.0, 0.1, 0.01, 0.001, 0.0001)

    def __init__(self, net_options: MobilenetAtIlsvrc12Options, dataset: Ilsvrc12Dataset):
        super().__init__(net_options, dataset)
        if net_options.version == 2:
            self.num_epochs = EPOCHS_OF_V2

    @property
    def model_name(self) -> str:
        multiplier = self.net.depth_multiplier
        return f'mobilenet_v{self.net.version}' + ('' if multiplier == 1 else f'_{multiplier}')

    def build_model(self) -> keras.Model:
        shape, num_classes = self.dataset.image_shape, self.dataset.num_classes
        if self.net.version == 1:
            return mobilenet_v1(shape, num_classes, self.net.depth_multiplier)
        return mobilenet_v2(shape, num_classes, self.net.depth_multiplier, wide_end=self.is_pretrained(self.net))

    def published_schedule(self, rate: float, steps_per_epoch: float) -> Schedule:
        if self.net.version == 1:
            return super().published_schedule(rate, steps_per_epoch)
        steps = max(1, int(DECAY_EPOCHS * steps_per_epoch))
        return keras.optimizers.schedules.ExponentialDecay(rate, steps, DECAY, staircase=True)

    @classmethod
    def pretrained_scale(cls, net_options: NetOptions) -> str:
        return '-1-1'

    def pretrained_network(self) -> keras.Model:
        build = keras.applications.MobileNet if self.net.version == 1 else keras.applications.MobileNetV2
        model = self.build_model()
        copy_in_order(application(build, 'imagenet', alpha=self.net.depth_multiplier), model)
        return model
