from __future__ import annotations

import numpy as np
import tf_keras as keras

from pocketflow.learners.channel_pruning.regressions import Sampling
from pocketflow.learners.channel_pruning.selectors.bn_scale import BnScaleSelector
from pocketflow.learners.channel_pruning.selectors.l1 import weight_norms
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext
from pocketflow.utils.channels import reader_channels

layers = keras.layers


def scores(model: keras.Model) -> dict[str, list[float]]:
    context = SelectionContext(model, reader_channels(model), Sampling(np.zeros(0), 1, 1e-5, 0))
    return {name: found.tolist() for name, found in BnScaleSelector(context).score().items()}


def test_the_last_batch_norm_before_a_layer_counts():
    inputs = keras.Input((4, 4, 1))
    stem = layers.Conv2D(2, 1, name='stem')(inputs)
    branch = layers.ReLU()(layers.BatchNormalization(name='bn1')(stem))
    total = layers.Add()([stem, layers.Conv2D(2, 1, name='branch')(branch)])
    read = layers.Conv2D(1, 1, name='last')(layers.BatchNormalization(name='bn2')(total))
    model = keras.Model(inputs, read)
    for name, gamma in (('bn1', [-3.0, 2.0]), ('bn2', [1.0, -0.5])):
        model.get_layer(name).gamma.assign(gamma)
    found = scores(model)
    assert found['branch'] == [3.0, 2.0] and found['last'] == [1.0, 0.5]


def test_without_scales_the_weights_of_the_reader_count():
    inputs = keras.Input((4, 4, 2))
    norm = layers.BatchNormalization(scale=False)(layers.BatchNormalization(name='before')(inputs))
    model = keras.Model(inputs, layers.Conv2D(2, 1, name='last')(norm))
    model.get_layer('before').gamma.assign([100.0, 1.0])
    model.get_layer('last').kernel.assign([[[[1.0, 1.0], [2.0, 2.0]]]])
    assert weight_norms(model, reader_channels(model)['last']).tolist() == [2.0, 4.0]
    assert scores(model)['last'] == [2.0, 4.0]
