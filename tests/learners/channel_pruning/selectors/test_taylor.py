from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.learners.channel_pruning import contributions
from pocketflow.learners.channel_pruning.pruning import prune_channels
from pocketflow.learners.channel_pruning.regressions import Sampling
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext, Supervision
from pocketflow.learners.channel_pruning.selectors.taylor import TaylorSelector, mean_changes
from pocketflow.utils.channels import reader_channels
from pocketflow.utils.errors import UsageError

layers = keras.layers


def test_changes_by_hand():
    inputs = np.array([[[1.0, 2.0], [3.0, 0.0]], [[-1.0, 1.0], [1.0, 1.0]]])
    gradients = np.array([[[1.0, 1.0], [-1.0, 5.0]], [[2.0, 0.0], [2.0, 3.0]]])
    # channel 0: |1 - 3| = 2 and |-2 + 2| = 0; channel 1: |2 + 0| = 2 and |0 + 3| = 3
    assert mean_changes(inputs, gradients, [np.array([0]), np.array([1])]).tolist() == [1.0, 2.5]
    assert mean_changes(inputs, gradients, [np.array([0, 1])]).tolist() == [(0 + 3) / 2]


def linear() -> keras.Model:
    """Two layers read one tensor; the output is the sum of what they make of it."""
    inputs = keras.Input((3,))
    x = layers.Activation('linear')(inputs)
    outputs = layers.Add()([layers.Dense(1, use_bias=False, name=name)(x) for name in ('one', 'two')])
    model = keras.Model(inputs, outputs)
    model.get_layer('one').kernel.assign([[1.0], [-2.0], [0.0]])
    model.get_layer('two').kernel.assign([[5.0], [0.0], [1.0]])
    return model


@pytest.mark.parametrize('chunk_bytes', [2**28, 1])
def test_scores_are_the_changes_of_a_linear_loss_without_a_channel(chunk_bytes, monkeypatch):
    monkeypatch.setattr(contributions, 'CHUNK_BYTES', chunk_bytes)
    model, images = linear(), np.array([[1.0, 1.0, 2.0], [-3.0, 2.0, 4.0]], np.float32)
    labels = np.array([1.0, 10.0], np.float32)

    def loss(labels, outputs):
        return tf.reduce_mean(labels * outputs[:, 0])

    context = SelectionContext(model, reader_channels(model), Sampling(images, 1, 1e-5, 0), Supervision(labels, loss))
    found = TaylorSelector(context).score()
    np.testing.assert_allclose(found['one'], [(1 + 30) / 2, (2 + 40) / 2, 0], rtol=1e-6)
    np.testing.assert_allclose(found['two'], [(5 + 150) / 2, 0, (2 + 40) / 2], rtol=1e-6)


def test_labels_are_needed():
    with pytest.raises(UsageError, match="the selector 'taylor' needs labels and a loss: give supervision="):
        prune_channels(linear(), np.zeros((2, 3)), 0.5, 'taylor')
