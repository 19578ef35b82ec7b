"""What all channel pruners share; behaviour of the whole stage is tested with `chn-pruned-rmt`."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning.learner import ChannelPruningLearner
from pocketflow.learners.channel_pruning.options import ChannelPrunerOptions
from pocketflow.learners.channel_pruning_discrimination.learner import DisChnPrunedLearner
from pocketflow.learners.channel_pruning_discrimination.options import DiscriminationOptions
from pocketflow.learners.channel_pruning_gpu.learner import ChannelPrunedGpuLearner
from pocketflow.learners.channel_pruning_gpu.options import GroupSparseOptions
from pocketflow.learners.channel_pruning_groups.learner import GroupPruningLearner
from pocketflow.learners.channel_pruning_groups.options import GroupPruningOptions
from pocketflow.learners.channel_pruning_rmt.learner import ChannelPrunedRmtLearner
from pocketflow.learners.channel_pruning_rmt.options import ChannelPruningOptions
from pocketflow.learners.options import LEARNERS
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


PRUNERS = {
    'chn-pruned-rmt': (ChannelPrunedRmtLearner, ChannelPruningOptions(num_images=60, num_positions=4)),
    'chn-pruned-gpu': (ChannelPrunedGpuLearner, GroupSparseOptions(num_images=60, num_positions=4, skip_ends=False)),
    'dis-chn-pruned': (
        DisChnPrunedLearner,
        DiscriminationOptions(num_images=60, num_positions=4, num_heads=1, num_tuning_steps=2),
    ),
    'channel': (
        GroupPruningLearner,
        GroupPruningOptions(prune_option='uniform', num_batches=1, num_positions=4, skip_last=False),
    ),
}


def test_these_are_all_learners_with_the_options_of_channel_pruners():
    classes = {name: LEARNERS.declaration(name).options_class for name in LEARNERS}
    pruners = {name: own for name, own in classes.items() if issubclass(own, ChannelPrunerOptions)}
    assert pruners == {name: type(options) for name, (_, options) in PRUNERS.items()}


@pytest.mark.parametrize('name', PRUNERS)
def test_the_statistics_of_batch_norms_are_those_of_the_flag(tmp_path, name):
    kind, options = PRUNERS[name]
    one = kind(make_context('lenet_at_digits', tmp_path), options.replace(batch_norms='exact'))
    model = one.compress(with_batch_norms()).model
    for layer in (model.get_layer('bn1'), model.get_layer('bn2')):
        images = one.helper.training_images(one.stage.num_images)
        values = keras.Model(model.input, layer.input)(images).numpy().astype(np.float64)
        np.testing.assert_allclose(layer.moving_mean, values.mean((0, 1, 2)), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(layer.moving_variance, values.var((0, 1, 2)), rtol=1e-4, atol=1e-6)


def with_batch_norms() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.BatchNormalization(name='bn1')(keras.layers.Conv2D(8, 3, name='a')(inputs))
    x = keras.layers.BatchNormalization(name='bn2')(keras.layers.Conv2D(6, 3, name='b')(keras.layers.ReLU()(x)))
    x = keras.layers.Conv2D(4, 3, name='c')(keras.layers.ReLU()(x))
    return keras.Model(inputs, keras.layers.Dense(10, name='logits')(keras.layers.Flatten()(x)))


def test_supervision_is_given_to_selectors_that_need_it_with_the_labels_of_their_images(learner, monkeypatch):
    assert learner._supervision(20) is None
    monkeypatch.setattr('pocketflow.learners.channel_pruning.selectors.lasso.LassoSelector.needs_supervision', True)
    supervision = learner._supervision(20)
    images, labels = learner.helper.training_samples(20)
    np.testing.assert_array_equal(images, learner.helper.training_images(20))
    np.testing.assert_array_equal(supervision.labels, labels)
    certain = 20.0 * np.eye(10, dtype=np.float32)[labels]
    assert float(supervision.loss(labels, certain)) < 1e-6 < 10 < float(supervision.loss(labels, -certain))
