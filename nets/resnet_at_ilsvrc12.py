"""ResNet-18 to 200 at ILSVRC-12."""

from __future__ import annotations

import numpy as np
import tf_keras as keras

from pocketflow.nets.ilsvrc12_helper import Ilsvrc12Helper
from pocketflow.nets.options import PAIRS, NetOptions
from pocketflow.nets.pretrained import application
from pocketflow.nets.resnet_at_ilsvrc12_options import ResnetAtIlsvrc12Options
from pocketflow.nets.resnet_imagenet import resnet_imagenet

applications = keras.applications
PRETRAINED = {
    ('1', 50): applications.ResNet50,
    ('1', 101): applications.ResNet101,
    ('1', 152): applications.ResNet152,
    ('2', 50): applications.ResNet50V2,
    ('2', 101): applications.ResNet101V2,
    ('2', 152): applications.ResNet152V2,
}


def weights_of(version: str, size: int) -> list[np.ndarray]:
    """The ImageNet weights; Keras has them for networks of 224 x 224 pixels, but they do not depend on that."""
    weights: list[np.ndarray] = application(PRETRAINED[version, size], 'imagenet').get_weights()
    return weights


@PAIRS.register('resnet_at_ilsvrc12')
class ResnetAtIlsvrc12(Ilsvrc12Helper):
    """ResNet; published top-1 accuracies of version 2 after 100 epochs: 70.28 % (18), 73.41 % (34), 75.97 % (50).

    With `--pretrained`, the network is built as `tf_keras.applications` builds it: its convolutions have biases, and
    its version 2 strides in the last block of a group, so that the weights would not fit the network here.
    """

    net_options_class = ResnetAtIlsvrc12Options
    net: ResnetAtIlsvrc12Options
    factors = (1.0, 0.1, 0.01, 0.001, 0.0001)

    @property
    def model_name(self) -> str:
        version = '' if self.net.version == '2' else f'_v{self.net.version}'
        return f'resnet_{self.net.size}{version}'

    def build_model(self) -> keras.Model:
        if self.is_pretrained(self.net):
            build = PRETRAINED[self.net.version, self.net.size]
            return application(build, None, input_shape=self.dataset.image_shape, classes=self.dataset.num_classes)
        return resnet_imagenet(self.net.size, self.dataset.image_shape, self.dataset.num_classes, self.net.version)

    @classmethod
    def pretrained_scale(cls, net_options: NetOptions) -> str:
        assert isinstance(net_options, ResnetAtIlsvrc12Options)
        return 'caffe' if net_options.version == '1' else '-1-1'

    def pretrained_network(self) -> keras.Model:
        model = self.build_model()
        model.set_weights(weights_of(self.net.version, self.net.size))
        return model
