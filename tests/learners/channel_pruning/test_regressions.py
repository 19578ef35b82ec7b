"""The regressions of layers, one after the other, on what those before have left."""

from __future__ import annotations

import numpy as np
import tf_keras as keras

from pocketflow.learners.channel_pruning.regressions import Sampling
from pocketflow.utils.channels import reader_channels
from pocketflow.utils.graph import copied

layers = keras.layers


def net() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 4, 3))
    features = layers.Conv2D(5, 3, padding='same', activation='relu', name='first')(inputs)
    features = layers.Conv2D(4, 3, padding='same', name='second')(features)
    return keras.Model(inputs, layers.Dense(2, name='dense')(layers.GlobalAveragePooling2D()(features)))


def sampling(seed: int = 0) -> Sampling:
    images = np.random.default_rng(1).normal(size=(20, 4, 4, 3)).astype(np.float32)
    return Sampling(images, 6, 1e-6, seed)


def test_each_reader_has_one_in_the_order_of_the_model():
    model = net()
    readers = reader_channels(model)
    found = dict(sampling().regressions(model, copied(model), readers))
    assert list(found) == list(readers) == ['first', 'second', 'dense']


def test_the_layer_of_the_pruned_copy_is_fitted_to_what_the_full_one_computes():
    full = net()
    pruned = copied(full)
    readers = {name: reader for name, reader in reader_channels(full).items() if name == 'second'}
    ((_, regression),) = sampling().regressions(full, pruned, readers)
    assert regression.layer is pruned.get_layer('second') and regression.num_channels == 5
    assert regression.refit(np.arange(5)) < 1e-6
    kernel = full.get_layer('second').kernel.numpy()
    np.testing.assert_allclose(pruned.get_layer('second').kernel, kernel, atol=1e-3)
    assert 1e-3 < regression.refit(np.array([0, 2])) < 1
    left = np.abs(pruned.get_layer('second').kernel.numpy()).max(axis=(0, 1, 3)) > 0
    assert left.tolist() == [True, False, True, False, False]
    np.testing.assert_array_equal(full.get_layer('second').kernel, kernel)
