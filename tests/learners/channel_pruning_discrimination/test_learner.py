from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.datasets.sourced_dataset import Shard
from pocketflow.learners.channel_pruning_discrimination.heads import with_head
from pocketflow.learners.channel_pruning_discrimination.learner import DisChnPrunedLearner
from pocketflow.learners.channel_pruning_discrimination.options import DiscriminationOptions
from pocketflow.learners.forecast import Speed
from pocketflow.utils.channels import reader_channels
from pocketflow.utils.costs.cost_model import total_macs
from pocketflow.utils.errors import UsageError
from pocketflow.utils.system.interrupts import Interrupted
from tests.learners.conftest import make_context

layers = keras.layers


def net() -> keras.Model:
    """Four layers in blocks of two, with random layers; c and d read one residual stream."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, padding='same', use_bias=False, name='a')(inputs)
    x = layers.Dropout(0.1)(layers.ReLU()(layers.BatchNormalization()(x)))
    x = layers.Conv2D(8, 3, padding='same', activation='relu', name='b')(x)
    y = layers.Conv2D(8, 3, padding='same', name='c')(x)
    x = layers.Conv2D(6, 3, strides=2, padding='same', activation='relu', name='d')(layers.Add()([x, y]))
    return keras.Model(inputs, layers.Dense(10, name='logits')(layers.GlobalAveragePooling2D()(x)), name='net')


def learner(folder: Path, **options) -> DisChnPrunedLearner:
    given = {'num_images': 60, 'num_positions': 4, 'num_heads': 1, 'num_tuning_steps': 2, **options}
    return DisChnPrunedLearner(make_context('lenet_at_digits', folder), DiscriminationOptions(**given))


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """A learner, and the result of its selection without a stop."""
    one = learner(tmp_path_factory.mktemp('whole'))
    return one, one.compress(net())


def test_channels_are_removed_where_they_are_made(whole):
    _, result = whole
    kept = {name: len(channels) for name, channels in result.plan.channels().items()}
    assert kept == {'b': 4, 'c': 4, 'd': 4}
    sizes = {name: reader.num_channels for name, reader in reader_channels(result.model).items()}
    assert (sizes['a'], sizes['b'], sizes['logits']) == (1, 4, 6) and sizes['c'] < 8 and sizes['d'] < 8
    assert result.plan.predicted['macs'] == total_macs(result.model) < 0.5 * total_macs(net())


def test_blocks_have_all_layers_that_can_be_pruned(whole):
    one, _ = whole
    assert [(block.layers, block.head) for block in one._blocks(net())] == [(('a', 'b', 'c'), 'c'), (('d',), None)]


def test_an_interrupted_selection_continues_where_it_stopped(whole, tmp_path, monkeypatch):
    """Begun by the primary of two workers, who prunes and tunes as a single worker does, and continued by one."""
    _, expected = whole
    blocks = tmp_path / 'stage' / 'checkpoints' / 'blocks'

    def stop(*_, **__):
        raise Interrupted(15)

    one = learner(tmp_path)
    one.helper.dataset.shard = Shard(0, 2)
    with monkeypatch.context() as patch:
        patch.setattr(f'{DisChnPrunedLearner.__module__}.refit_layers', stop)
        with pytest.raises(Interrupted):
            one.compress(net())
    assert (blocks / 'tuning-1' / 'ckpt-2.index').exists()  # the first block was tuned, but not pruned

    keras.utils.set_random_seed(99)  # nothing may depend on random numbers drawn before the stop
    second = learner(tmp_path)
    tune = second._tune
    monkeypatch.setattr(second, '_tune', lambda block, *rest: stop() if block.number == 2 else tune(block, *rest))
    with pytest.raises(Interrupted):
        second.compress(net())
    assert {path.name for path in blocks.iterdir()} == {'block-1.keras', 'block-1.json'}

    keras.utils.set_random_seed(98)
    last, tuned = learner(tmp_path), []
    tune = last._tune
    monkeypatch.setattr(last, '_tune', lambda block, *rest: (tuned.append(block.number), tune(block, *rest)))
    result = last.compress(net())
    assert tuned == [2]
    assert result.plan.values == expected.plan.values
    for left, right in zip(result.model.get_weights(), expected.model.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_head_may_change_the_order_of_parallel_branches(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, padding='same', activation='relu', name='a')(inputs)
    branches = [layers.Conv2D(8, 3, padding='same', name='b')(x), layers.Conv2D(8, 1, name='shortcut')(x)]
    x = layers.Conv2D(6, 3, activation='relu', name='c')(layers.Add()(branches))
    model = keras.Model(inputs, layers.Dense(10, name='logits')(layers.GlobalAveragePooling2D()(x)), name='net')
    one = learner(tmp_path, num_tuning_steps=1)
    block, _ = one._blocks(model)
    assert block.layers == ('a', 'b', 'shortcut') and block.head == 'shortcut'
    assert list(reader_channels(with_head(model, 'shortcut', 0)))[:3] == ['a', 'shortcut', 'b']
    kept = one.compress(model).plan.channels()
    assert {name: len(channels) for name, channels in kept.items()} == {'b': 4, 'shortcut': 4, 'c': 4}


def test_dropped_channels_stay_dropped_while_the_network_is_tuned(tmp_path):
    one, network = learner(tmp_path), net()
    (block,) = [block for block in one._blocks(network) if block.number == 2]
    before = network.get_layer('b').kernel.numpy()
    one._tune(block, network, {'b': (0, 3)})
    moved = network.get_layer('b').kernel.numpy()
    assert np.flatnonzero(np.abs(moved).max(axis=(0, 1, 3))).tolist() == [0, 3]
    assert 0 < np.abs(moved - before)[:, :, [0, 3]].max() < 0.01  # two steps of Adam at 1e-3


def test_without_tuning_there_are_no_heads(tmp_path):
    one, model = learner(tmp_path, num_tuning_steps=0), net()
    assert [block.head for block in one._blocks(model)] == [None]
    result = one.compress(model)
    np.testing.assert_array_equal(
        result.model.get_layer('a').kernel, np.take(model.get_layer('a').kernel, result.plan.channels()['b'], axis=3)
    )


def test_maps_are_refused_before_training(tmp_path):
    inputs = keras.Input((200, 200, 1))
    x = layers.Conv2D(4, 3, padding='same', name='a')(inputs)
    model = keras.Model(inputs, layers.Conv2D(2, 3, padding='same', name='mask')(x), name='net')
    with pytest.raises(UsageError, match='the output mask .*; give --dcp_nb_stages=0'):
        learner(tmp_path).check_layers(lambda: model)
    learner(tmp_path, num_heads=0).check_layers(lambda: model)


def test_the_estimate_counts_the_steps_of_tuning(tmp_path, monkeypatch):
    monkeypatch.setattr('pocketflow.learners.channel_pruning.learner.float64_flops_per_second', lambda: 1e12)
    speed = Speed(step=1.0, image=0.0, prediction=0.0)
    few, many = (learner(tmp_path, num_tuning_steps=steps).compress_effort(net(), speed) for steps in (10, 110))
    assert many.seconds - few.seconds == pytest.approx(200)


def test_bad_options():
    with pytest.raises(UsageError, match='--dcp_prune_ratio=1.0: must be a number >= 0 and < 1$'):
        DiscriminationOptions(prune_ratio=1.0)
    with pytest.raises(UsageError, match='--dcp_nb_stages=-1'):
        DiscriminationOptions(num_heads=-1)
