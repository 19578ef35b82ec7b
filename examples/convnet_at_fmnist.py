"""A user's own network at Fashion-MNIST, in one file outside the framework.

    python main.py --model_helper=examples/convnet_at_fmnist.py --data_dir_local=FOLDER --learner=chn-pruned-rmt

Copy this file and change the network, the data set class and the schedule; nothing else has to be edited.
"""

from __future__ import annotations

import tf_keras as keras

from pocketflow.datasets import FmnistDataset
from pocketflow.nets.abstract_model_helper import PAIRS, ClassificationHelper, NetOptions
from pocketflow.utils.options import with_defaults

layers = keras.layers


@PAIRS.register('convnet_at_fmnist')
class ConvnetAtFmnist(ClassificationHelper):
    """Two convolutions with pooling and a wide hidden layer: 3,274,634 parameters."""

    net_options_class = with_defaults(NetOptions, 'ConvnetAtFmnistOptions', learning_rate=0.1, weight_decay=3e-4)
    dataset_class = FmnistDataset
    model_name = 'convnet'
    num_epochs = 160
    boundaries = (40, 80, 120)

    def build_model(self) -> keras.Model:
        inputs = layers.Input(self.dataset.image_shape, name='images')
        features = inputs
        for block, filters in enumerate((32, 64), start=1):
            features = layers.Conv2D(filters, 5, padding='same', activation='relu', name=f'conv{block}')(features)
            features = layers.MaxPooling2D(2, name=f'pool{block}')(features)
        features = layers.Flatten(name='flatten')(features)
        features = layers.Dense(1024, activation='relu', name='fc3')(features)
        return keras.Model(inputs, layers.Dense(self.dataset.num_classes, name='fc4')(features), name='convnet')
