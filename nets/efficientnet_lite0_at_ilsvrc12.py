"""EfficientNet-Lite0 at ILSVRC-12."""

from __future__ import annotations

import tf_keras as keras

from pocketflow.nets.efficientnet_lite0 import efficientnet_lite0
from pocketflow.nets.efficientnet_lite0_at_ilsvrc12_options import EfficientnetLite0AtIlsvrc12Options
from pocketflow.nets.ilsvrc12_helper import Ilsvrc12Helper
from pocketflow.nets.options import PAIRS


@PAIRS.register('efficientnet_lite0_at_ilsvrc12')
class EfficientnetLite0AtIlsvrc12(Ilsvrc12Helper):
    """EfficientNet-Lite0; 75.1 % published top-1 accuracy, after 350 epochs with RMSprop, which is not available here.

    `scripts/zoo/efficientnet_lite0.py` makes a file with the published weights, to be given by `--save_path`.
    """

    net_options_class = EfficientnetLite0AtIlsvrc12Options
    model_name = 'efficientnet_lite0'
    num_epochs = 350
    boundaries = (150, 250, 300)

    def build_model(self) -> keras.Model:
        return efficientnet_lite0(self.dataset.image_shape, self.dataset.num_classes)
