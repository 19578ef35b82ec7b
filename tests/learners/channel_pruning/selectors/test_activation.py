from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning import contributions
from pocketflow.learners.channel_pruning.regressions import Sampling
from pocketflow.learners.channel_pruning.selectors.activation import ActivationSelector, mean_sizes
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext
from pocketflow.utils.channels import reader_channels

layers = keras.layers


def test_means_by_hand():
    inputs = np.array([[[1.0, -2.0]], [[3.0, 4.0]]])
    assert mean_sizes(inputs, [np.array([0]), np.array([1])]).tolist() == [2.0, 3.0]
    assert mean_sizes(np.array([[1.0, -2.0, 3.0, 4.0]]), [np.array([0, 2]), np.array([1, 3])]).tolist() == [2.0, 3.0]


@pytest.mark.parametrize('chunk_bytes', [2**28, 1])
def test_scores_are_means_over_all_images_of_what_is_read(chunk_bytes, monkeypatch):
    monkeypatch.setattr(contributions, 'CHUNK_BYTES', chunk_bytes)
    inputs = keras.Input((2, 2, 2))
    model = keras.Model(inputs, layers.Dense(1, name='last')(layers.Flatten()(layers.ReLU()(inputs))))
    images = np.random.default_rng(0).normal(size=(5, 2, 2, 2)).astype(np.float32)
    context = SelectionContext(model, reader_channels(model), Sampling(images, 1, 1e-5, 0))
    found = ActivationSelector(context).score()['last']
    np.testing.assert_allclose(found, np.maximum(images, 0).mean(axis=(0, 1, 2)), rtol=1e-5)
