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

layers = keras.layers
sparse_cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((12,))
    return keras.Model(inputs, layers.Dense(3, name='logits')(layers.Dense(12, 'relu', name='hidden')(inputs)))


def test_selectors_rank_the_channels_differently():
    model = network()
    readers = {'hidden': reader_channels(model)['hidden']}
    images = np.random.default_rng(0).normal(size=(60, 12)) @ np.random.default_rng(1).normal(size=(12, 12))
    sampling = Sampling(images.astype(np.float32), 1, 1e-5, 0)
    regressions = sampling.regressions(model, keras.models.clone_model(model), readers)
    _, regression = next(iter(regressions))
    labels = np.arange(60) % 3
    supervision = Supervision(labels, lambda *pair: tf.reduce_mean(sparse_cross_entropy(*pair)))
    context = SelectionContext(model, readers, sampling, supervision)
    orders = [SELECTORS.get(name)(context).order(regression).tolist() for name in SELECTORS]
    assert all(sorted(order) == list(range(12)) for order in orders)
    assert all(one != other for one, other in itertools.combinations(orders, 2))


def test_choices_of_dense_layers_leave_out_different_ones():
    model = network()
    reasons = [set(reasons_not_to_prune(model, reader_channels(model), dense=dense)) for dense in DENSE_LAYERS]
    assert reasons == [{'hidden', 'logits'}, {'logits'}, set()]
