"""What all channel pruners share; behaviour of the whole stage is tested with `chn-pruned-rmt`."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning.learner import ChannelPruningLearner
from pocketflow.learners.channel_pruning_rmt.options import ChannelPruningOptions
from tests.learners.channel_pruning_rmt.test_learner import net
from tests.learners.conftest import make_context


class Halves(ChannelPruningLearner):
    """Keeps half of the channels of the first layer that is pruned, and all of the others."""

    name = 'halves'

    def shares(self, model: keras.Model, layers) -> dict[str, float]:
        return {name: 0.5 if name == layers[0] else 1.0 for name in layers}


@pytest.fixture
def learner(tmp_path) -> Halves:
    return Halves(make_context('lenet_at_digits', tmp_path), ChannelPruningOptions(num_images=60, num_positions=4))


def test_each_layer_has_its_share(learner):
    result = learner.compress(net())
    assert {name: len(kept) for name, kept in result.plan.channels().items()} == {'conv2': 4, 'hidden': 6}
    assert learner.predict(net()).model.count_params() == result.model.count_params()


def test_training_from_scratch_keeps_the_structure_alone(learner):
    found = learner.compress(net())
    learner.options = learner.options.replace(from_scratch=True)
    fresh, again = learner.compress(net()), learner.compress(net())
    assert fresh.plan == found.plan and fresh.layers == found.layers
    kernels = [result.model.get_layer('conv2').kernel.numpy() for result in (found, fresh, again)]
    assert kernels[0].shape == kernels[1].shape and not np.allclose(kernels[0], kernels[1], atol=0.01)
    np.testing.assert_array_equal(kernels[1], kernels[2])


def test_the_statistics_of_batch_norms_are_those_of_the_flag(learner):
    default, shifted = learner.compress(net()), None
    learner.options = learner.options.replace(batch_norms='shifted')
    shifted = learner.compress(net())
    means = [result.model.get_layer('bn1').moving_mean.numpy() for result in (default, shifted)]
    np.testing.assert_array_equal(means[0], np.zeros(4))
    np.testing.assert_allclose(means[1], np.zeros(4), atol=1e-5)  # nothing before it was pruned
    assert default.plan == shifted.plan


def test_supervision_is_given_to_selectors_that_need_it_with_the_labels_of_their_images(learner, monkeypatch):
    assert learner._supervision(20) is None
    monkeypatch.setattr('pocketflow.learners.channel_pruning.selectors.lasso.LassoSelector.needs_supervision', True)
    supervision = learner._supervision(20)
    images, labels = learner.helper.training_samples(20)
    np.testing.assert_array_equal(images, learner.helper.training_images(20))
    np.testing.assert_array_equal(supervision.labels, labels)
    certain = 20.0 * np.eye(10, dtype=np.float32)[labels]
    assert float(supervision.loss(labels, certain)) < 1e-6 < 10 < float(supervision.loss(labels, -certain))
