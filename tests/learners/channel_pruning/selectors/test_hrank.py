from __future__ import annotations

import numpy as np
import tf_keras as keras

from pocketflow.learners.channel_pruning.regressions import Sampling
from pocketflow.learners.channel_pruning.selectors import hrank
from pocketflow.learners.channel_pruning.selectors.hrank import HRankSelector, last_maps, mean_ranks
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext
from pocketflow.utils.channels import reader_channels, trace

layers = keras.layers


def test_ranks_by_hand():
    maps = np.zeros((2, 3, 3, 3))
    maps[0, ..., 0] = np.eye(3)
    maps[0, ..., 1] = 1.0
    maps[1, ..., 0] = np.diag([1.0, 2.0, 0.0])
    assert mean_ranks(maps).tolist() == [2.5, 0.5, 0.0]


def pooled() -> keras.Model:
    """Dense layers behind a global pooling, and behind another dense layer."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 4, 2))
    x = layers.ReLU(name='relu')(inputs)
    x = layers.Dense(3, name='hidden')(layers.GlobalAveragePooling2D(name='pool')(x))
    return keras.Model(inputs, layers.Dense(2, name='last')(x))


def test_maps_are_those_before_a_pooling_to_one_place():
    graph = trace(pooled())
    outputs = {step.layer.name: step.outputs[0] for step in graph.steps}
    assert last_maps(graph, ['hidden']) == {outputs['relu']}
    assert last_maps(graph, ['last']) == set()


def test_scores_are_mean_ranks_of_the_first_images(monkeypatch):
    model, images = pooled(), np.zeros((3, 4, 4, 2), np.float32)
    images[0, ..., 0], images[1, ..., 0] = np.eye(4), -np.eye(4)  # behind the activation, of rank 0
    images[0, ..., 1] = 1.0
    images[2] = np.random.default_rng(0).normal(size=(4, 4, 2))
    monkeypatch.setattr(hrank, 'NUM_IMAGES', 2)
    context = SelectionContext(model, reader_channels(model), Sampling(images, 1, 1e-5, 0))
    scores = HRankSelector(context).score()
    assert scores['hidden'].tolist() == [2.0, 0.5]
    norms = np.abs(model.get_layer('last').kernel.numpy().astype(float)).sum(axis=1)
    np.testing.assert_allclose(scores['last'], norms)
