"""Every choice has an implementation of its own: none is the fall-back of another."""

from __future__ import annotations

import itertools

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.learners.channel_pruning.choices import DENSE_LAYERS, SELECTORS
from pocketflow.learners.channel_pruning.prunable import reasons_not_to_prune
from pocketflow.learners.channel_pruning.regressions import Sampling
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext, Supervision
from pocketflow.utils.channels import reader_channels
from pocketflow.utils.graph import copied

layers = keras.layers
sparse_cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits


def network() -> keras.Model:
    """A dense layer that reads twelve channels of a convolution with batch norm, which differ in all respects."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 3))
    features = layers.BatchNormalization(name='norm')(layers.Conv2D(12, 3, name='conv')(inputs))
    features = layers.Flatten()(layers.ReLU()(features))
    model = keras.Model(inputs, layers.Dense(3, name='logits')(layers.Dense(12, 'relu', name='hidden')(features)))
    rng = np.random.default_rng(2)
    model.get_layer('norm').set_weights([rng.normal(size=12), rng.normal(size=12), *rng.uniform(0.1, 1, (2, 12))])
    return model


def test_selectors_rank_the_channels_differently():
    model = network()
    readers = {'hidden': reader_channels(model)['hidden']}
    images = np.random.default_rng(0).normal(size=(60, 6, 6, 3)).astype(np.float32)
    sampling = Sampling(images, 1, 1e-5, 0)
    _, regression = next(iter(sampling.regressions(model, copied(model), readers)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    context = SelectionContext(model, readers, sampling, Supervision(np.arange(60) % 3, loss))
    orders = {name: SELECTORS.get(name)(context).order(regression).tolist() for name in SELECTORS}
    assert all(sorted(order) == list(range(12)) for order in orders.values())
    assert [pair for pair in itertools.combinations(orders, 2) if orders[pair[0]] == orders[pair[1]]] == []


def dense_network() -> keras.Model:
    inputs = keras.Input((12,))
    return keras.Model(inputs, layers.Dense(3, name='logits')(layers.Dense(12, 'relu', name='hidden')(inputs)))


def test_choices_of_dense_layers_leave_out_different_ones():
    model = dense_network()
    reasons = [set(reasons_not_to_prune(model, reader_channels(model), dense=dense)) for dense in DENSE_LAYERS]
    assert reasons == [{'hidden', 'logits'}, {'logits'}, set()]
