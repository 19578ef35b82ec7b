from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning_groups.learner import GroupPruningLearner
from pocketflow.learners.channel_pruning_groups.options import GroupPruningOptions
from pocketflow.utils.channels import reader_channels, remove_channels
from pocketflow.utils.costs.cost_model import total_macs
from pocketflow.utils.errors import UsageError
from pocketflow.utils.tasks.metric import Metric
from tests.learners.conftest import make_context

layers = keras.layers


def net() -> keras.Model:
    """Convolutions first, a, b, last; b and last read one residual stream."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, padding='same', activation='relu', name='first')(inputs)
    y = layers.Conv2D(12, 3, padding='same', activation='relu', name='a')(x)
    y = layers.Conv2D(8, 3, padding='same', name='b')(y)
    x = layers.Conv2D(6, 3, padding='same', activation='relu', name='last')(layers.Add()([x, y]))
    return keras.Model(inputs, layers.Dense(10, name='logits')(layers.GlobalAveragePooling2D()(x)), name='net')


def learner(tmp_path, **options) -> GroupPruningLearner:
    context = make_context('lenet_at_digits', tmp_path)
    given = {'prune_option': 'uniform', 'num_batches': 1, 'num_positions': 4, **options}
    return GroupPruningLearner(context, GroupPruningOptions(**given))


def sizes(model: keras.Model) -> dict[str, int]:
    return {name: reader.num_channels for name, reader in reader_channels(model).items()}


def test_images_are_counted_in_batches(tmp_path):
    one = learner(tmp_path, num_batches=2)
    assert one.stage.num_images == 2 * one.helper.dataset.options.batch_size == one.num_images_read()


def test_every_convolution_between_the_first_and_the_last_keeps_its_share(tmp_path):
    result = learner(tmp_path, uniform_share=0.5).compress(net())
    assert sizes(result.model) == {'first': 1, 'a': 4, 'b': 6, 'last': 8, 'logits': 6}


def test_shares_of_a_list_are_those_of_the_convolutions_in_order(tmp_path):
    (tmp_path / 'list').write_text('0.5, 0.25, 0.75, 0.5')  # the first and the last are not pruned
    one = learner(tmp_path, prune_option='list', list_path=str(tmp_path / 'list'))
    assert one.shares(net(), ['a', 'b']) == {'a': 0.25, 'b': 0.75}
    assert sizes(one.compress(net()).model) == {'first': 1, 'a': 2, 'b': 9, 'last': 8, 'logits': 6}


@pytest.mark.parametrize('method', ['sensitive', 'program'])
def test_shares_by_curves_are_multiples_within_the_budget(tmp_path, method):
    model = net()
    one = learner(tmp_path, prune_option=method, preserve_ratio=0.7, quadruple=True)
    found = one.search_values(model)
    assert [*found] == ['a', 'b'] and all(len(channels) % 4 == 0 for channels in found.values())
    result = one.compress(model, found)
    assert total_macs(result.model) == total_macs(model, found) <= 0.7 * total_macs(model)


def test_multiples_of_four_channels(tmp_path):
    assert learner(tmp_path, uniform_share=0.7, quadruple=True).shares(net(), ['a', 'b']) == {'a': 0.5, 'b': 8 / 12}


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('0.5, 0.5', '2 numbers for 4 convolutions; give one for each, in the order of execution: first, a, b, last'),
        ('1, 1.5, 1, 1', '1.5 is out of range; give shares of input channels to keep, above 0 and at most 1'),
        ('1, 0, 1, 1', '0 is out of range'),
    ],
)
def test_bad_lists(tmp_path, content, message):
    (tmp_path / 'list').write_text(content)
    one = learner(tmp_path, prune_option='list', list_path=str(tmp_path / 'list'))
    with pytest.raises(UsageError, match=message):
        one.check_inputs()
        one.check_model(net)


def test_bad_combinations(tmp_path):
    with pytest.raises(UsageError, match='--cp_prune_option=list and --cp_prune_list_file=FILE go together'):
        GroupPruningOptions(prune_option='list')
    one = learner(tmp_path, prune_option='auto', reward_policy='flops')
    one.check_inputs()
    error = Metric('error', higher_is_better=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(one.helper.task), 'primary', error)
        with pytest.raises(UsageError, match='needs a metric that is a share of right answers, not error; give'):
            one.check_inputs()


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """A run without a stop, and its result."""
    one = learner(tmp_path_factory.mktemp('whole'), group_size=1, finetune=True, uniform_share=0.5)
    return one, one.run(net())


def test_groups_are_pruned_one_after_the_other_with_tuning_in_between(whole):
    (one, result), model = whole, net()
    assert one._groups(model) == [['a'], ['b']]
    folder = one.context.folder / 'group-1'
    pruned, tuned = (keras.models.load_model(folder / f'{name}.keras') for name in ('pruned', 'tuned'))
    assert sizes(pruned) == sizes(tuned) == {'first': 1, 'a': 4, 'b': 12, 'last': 8, 'logits': 6}
    moved = [np.abs(one - two).max() for one, two in zip(pruned.get_weights(), tuned.get_weights(), strict=True)]
    assert 0 < max(moved) < 0.01  # a few steps of Adam at 1e-4
    plan = one._load_compressed().plan
    assert {name: len(kept) for name, kept in plan.channels().items()} == {'a': 4, 'b': 6}
    assert sizes(result.model) == sizes(remove_channels(model, plan.channels()))
    assert total_macs(result.model) == plan.predicted['macs'] < total_macs(model)
    assert {row['layer'] for row in result.layers} >= {'first', 'a', 'b', 'last', 'logits'}


def test_an_interrupted_run_continues_after_the_last_tuned_group(tmp_path, monkeypatch, whole):
    (_, expected), model = whole, net()
    stopped = learner(tmp_path, group_size=1, finetune=True, uniform_share=0.5)
    with monkeypatch.context() as patch:
        patch.setattr(stopped, 'compress', lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            stopped.run(model)
    again = learner(tmp_path, group_size=1, finetune=True, uniform_share=0.5)
    monkeypatch.setattr(again, '_tune', lambda *_: pytest.fail('the group was tuned already'))
    for one, two in zip(expected.model.get_weights(), again.run(model).model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_retraining_between_groups_takes_the_whole_schedule(tmp_path, monkeypatch):
    steps = []
    for options in ({'finetune': True}, {'finetune': True, 'retrain': True}, {}):
        one = learner(tmp_path, group_size=1, **options)
        monkeypatch.setattr(one, 'fit', lambda _, num_steps, optimizer, **__: steps.append((num_steps, optimizer)))
        one._tune(0, net())
    _, whole = one.schedule()
    assert [count for count, _ in steps] == [max(1, int(0.2 * whole)), whole, whole]
    assert [optimizer is None for _, optimizer in steps] == [False, True, True]
