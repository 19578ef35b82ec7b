"""What is decided for each stream, on networks where the better way is plain."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.contributions import ChannelStatistics
from pocketflow.learners.channel_pruning.decisions import NOT_WORTH, Chooser, Decider, first_with_floors, lost_share
from pocketflow.learners.channel_pruning.regressions import Sampling
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext
from pocketflow.utils.channels import reader_channels, trace
from pocketflow.utils.channels.streams import streams
from pocketflow.utils.costs.cost_model import total_macs

layers = keras.layers


def conv(filters: int, name: str, size: int = 1):
    return layers.Conv2D(filters, size, padding='same', name=name)


def bottleneck_net() -> keras.Model:
    """A residual stream of 16 channels whose readers are 1x1 convolutions to 4: selections never pay."""
    inputs = keras.Input((4, 4, 3))
    x = conv(16, 'stem')(inputs)
    for block in 'ab':
        x = layers.Add()([x, conv(16, f'{block}2')(conv(4, f'{block}1')(x))])
    return keras.Model(inputs, conv(4, 'head')(x))


def statistics_of(contributions: np.ndarray) -> ChannelStatistics:
    """Of contributions `[rows, channels]` whose sum is the output."""
    gram = contributions.T @ contributions
    return ChannelStatistics(gram, gram.sum(axis=1), float(gram.sum()), len(contributions))


def decider(model: keras.Model, statistics: dict[str, ChannelStatistics], share: float = 0.5) -> Decider:
    readers = {name: reader for name, reader in reader_channels(model).items() if name in statistics}
    return Decider(
        trace(model), readers, dict.fromkeys(readers, share), lambda names: chooser('lasso', model, statistics)
    )


def chooser(selector: str, model: keras.Model, statistics: dict[str, ChannelStatistics]) -> Chooser:
    context = SelectionContext(model, reader_channels(model), Sampling(np.zeros(0), 1, 1e-5, 0))
    return Chooser(SELECTORS.get(selector)(context), statistics)


def independent(num_channels: int, large: list[int], seed: int = 0, energy: float = 1.0) -> ChannelStatistics:
    scales = np.full(num_channels, 0.01)
    scales[large] = 1.0
    rows = np.random.default_rng(seed).normal(size=(400, num_channels))
    return statistics_of(energy * rows * scales)


def test_what_is_lost_by_hand():
    # Two channels of energies 9 and 1 that have nothing in common.
    statistics = ChannelStatistics(np.diag([9.0, 1.0]), np.array([9.0, 1.0]), 10.0, 5)
    assert lost_share(statistics, np.array([0])) == pytest.approx(0.1, abs=1e-6)
    assert lost_share(statistics, np.array([0, 1])) == 0


@pytest.mark.parametrize('selector', ['lasso', 'obs'])
def test_no_reader_outweighs_another_by_the_size_of_its_output(selector):
    model = bottleneck_net()
    stream = next(stream for stream in streams(trace(model), ['a1', 'b1', 'head']))
    statistics = {
        'a1': independent(16, [0, 1], energy=1000.0),
        'b1': independent(16, [2, 3]),
        'head': independent(16, [4, 5]),
    }
    made = chooser(selector, model, statistics)
    chosen = made.choose(stream, ['a1', 'b1', 'head'], 6, np.zeros(16, bool))
    assert chosen.tolist() == [0, 1, 2, 3, 4, 5]
    assert sorted(made.order(stream, ['a1', 'b1', 'head'], np.zeros(16, bool))[:6].tolist()) == chosen.tolist()


def test_a_stream_whose_selections_never_pay_has_one_set():
    model = bottleneck_net()
    names = ['a1', 'b1', 'head']
    made = decider(model, {name: independent(16, list(range(index, index + 6))) for index, name in enumerate(names)})
    decisions = made.decide()
    sets = {tuple(decisions.joint[name].tolist()) for name in names}
    assert len(sets) == 1 and len(sets.pop()) == 8
    assert not decisions.whole
    orders = made.orders(decisions)
    assert {tuple(order.tolist()) for order in orders.values()} == {tuple(orders['a1'].tolist())}


def test_readers_that_want_other_channels_have_a_set_each_where_selections_are_cheap():
    inputs = keras.Input((4, 4, 3))
    x = conv(16, 'stem')(inputs)
    both = layers.Concatenate()([conv(16, 'one', 3)(x), conv(16, 'two', 3)(x)])
    model = keras.Model(inputs, layers.GlobalMaxPooling2D()(both))
    made = decider(model, {'one': independent(16, list(range(8))), 'two': independent(16, list(range(8, 16)))})
    assert made.decide().counts == {'one': 8, 'two': 8}
    alike = decider(model, {name: independent(16, list(range(8))) for name in ('one', 'two')})
    assert alike.decide().joint.keys() == {'one', 'two'}


def test_what_saves_nothing_is_left_alone():
    inputs = keras.Input((4, 4, 4))
    x = conv(2, 'narrow')(inputs)
    model = keras.Model(inputs, [conv(8, 'wide', 3)(x), layers.GlobalMaxPooling2D()(x)])
    decisions = decider(model, {'narrow': independent(4, [0, 1]), 'wide': independent(2, [0])}).decide()
    assert decisions.whole == {'narrow': NOT_WORTH} and decisions.counts == {'wide': 1}


def test_only_readers_that_share_channels_are_measured():
    model, asked = bottleneck_net(), []
    readers = {name: reader for name, reader in reader_channels(model).items() if name != 'stem'}
    known = {name: independent(reader.num_channels, [0, 1]) for name, reader in readers.items()}

    def make_chooser(names):
        asked.append(sorted(names))
        return chooser('lasso', model, {name: known[name] for name in names})

    Decider(trace(model), readers, dict.fromkeys(readers, 0.5), make_chooser).decide()
    assert asked == [['a1', 'b1', 'head']]


def test_no_pruning_asks_for_no_statistics():
    model = bottleneck_net()
    readers = {name: reader for name, reader in reader_channels(model).items() if name != 'stem'}
    decisions = Decider(
        trace(model), readers, dict.fromkeys(readers, 1.0), lambda names: pytest.fail('not needed')
    ).decide()
    assert (
        not decisions.joint
        and decisions.counts.items() <= {name: reader.num_channels for name, reader in readers.items()}.items()
    )


def test_every_reader_keeps_a_channel():
    inputs = keras.Input((4, 4, 3))
    x, y = conv(2, 'x')(inputs), conv(14, 'y')(inputs)
    model = keras.Model(inputs, conv(4, 'both')(layers.Concatenate()([conv(3, 'own')(x), x, y])))
    made = decider(model, {'own': independent(2, [1]), 'both': independent(19, list(range(5, 19)))})
    option = made._common(next(stream for stream in streams(trace(model), ['own', 'both'])))
    assert option.kept['own'].tolist() == [1] and len(option.kept['both']) == 9
    kept = {name: channels.tolist() for name, channels in option.kept.items()}
    assert total_macs(model) - total_macs(model, kept) == option.saved > 0


def test_floors_take_the_place_of_the_last():
    order, parts = np.array([5, 4, 3, 2, 1, 0]), [np.arange(3), np.arange(3, 6)]
    assert first_with_floors(order, 3, parts, [0, 0]).tolist() == [3, 4, 5]
    assert first_with_floors(order, 3, parts, [1, 1]).tolist() == [2, 4, 5]
    assert first_with_floors(order, 4, parts, [2, 0]).tolist() == [1, 2, 4, 5]


def test_a_weak_branch_of_a_concatenation_is_not_dropped_as_a_whole():
    inputs = keras.Input((4, 4, 3))
    skip = conv(8, 'skip')(inputs)
    encoder = conv(4, 'encoder')(skip)
    deep = conv(8, 'deep')(encoder)
    model = keras.Model(inputs, conv(4, 'decoder')(layers.Concatenate()([deep, skip])))
    # The skip connection carries all that the decoder computes, the deep branch nearly nothing.
    made = decider(model, {'encoder': independent(8, list(range(8))), 'decoder': independent(16, list(range(8, 16)))})
    option = made._common(next(stream for stream in streams(trace(model), ['encoder', 'decoder'])))
    kept = option.kept['decoder']
    assert len(kept) == 8 and (kept < 8).sum() == 2 == int(8 * 0.5 * 0.5), 'half of the share of the deep branch stays'
    assert len(option.kept['encoder']) == 6
