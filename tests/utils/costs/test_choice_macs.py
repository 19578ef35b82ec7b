"""The quick count of multiply-adds is that of `total_macs`, and of the model that is built, for every choice."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pocketflow.nets.resnet import resnet
from pocketflow.utils.channels import ChannelSelect, reader_channels, remove_channels, trace
from pocketflow.utils.costs.choice_macs import ChoiceMacs
from pocketflow.utils.costs.cost_model import total_macs
from pocketflow.utils.errors import UsageError
from tests.utils.channels.test_random_graphs import random_net

layers = keras.layers


def quick(model, kept) -> int:
    macs = ChoiceMacs(model)
    return macs.total({name: macs.mask(name, channels) for name, channels in kept.items()})


def random_choice(graph, rng) -> dict[str, list[int]]:
    """Random channels of about three readers in four."""
    sizes = {name: reader.num_channels for name, reader in reader_channels(graph).items() if rng.random() < 0.75}
    return {name: rng.permutation(size)[: rng.integers(1, size + 1)].tolist() for name, size in sizes.items()}


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.data())
def test_random_graphs(data):
    model, kept = random_net(data.draw)
    assert quick(model, kept) == total_macs(remove_channels(model, kept))
    graph, rng = trace(model), np.random.default_rng(data.draw(st.integers(0, 2**32)))
    for choice in [{}, *(random_choice(graph, rng) for _ in range(5))]:
        assert quick(graph, choice) == total_macs(graph, choice)


def test_resnet_20():
    graph, rng = trace(resnet(20, (32, 32, 3), 10)), np.random.default_rng(0)
    macs = ChoiceMacs(graph)
    totals = []
    for choice in [{}, *(random_choice(graph, rng) for _ in range(5))]:
        masks = {name: macs.mask(name, channels) for name, channels in choice.items()}
        totals.append(macs.total(masks))
        assert totals[-1] == total_macs(graph, choice)
    assert totals[0] == total_macs(graph.model) > max(totals[1:]) and len(set(totals)) == 6


def conv(filters: int, name: str, size: int = 1):
    return layers.Conv2D(filters, size, padding='same', name=name)


def image_model(build, shape=(4, 5, 3)) -> keras.Model:
    inputs = keras.Input(shape)
    return keras.Model(inputs, build(inputs))


def depthwise_net(inputs):
    x = layers.DepthwiseConv2D(3, padding='same', depth_multiplier=2)(conv(6, 'stem')(inputs))
    return conv(2, 'head')(x)


def flat_net(inputs):
    return layers.Dense(7, name='logits')(layers.Flatten()(conv(6, 'stem')(inputs)))


def separable_net(inputs):
    x = layers.SeparableConv2D(8, 3, padding='same', depth_multiplier=2, name='middle')(conv(6, 'stem')(inputs))
    return conv(2, 'head')(x)


def transposed_net(inputs):
    x = layers.Conv2DTranspose(5, 2, strides=2, name='up')(conv(6, 'stem')(inputs))
    return conv(2, 'head')(x)


def doubled_net(inputs):
    x, y = conv(4, 'stem')(inputs), conv(3, 'other')(inputs)
    return conv(2, 'head', 3)(layers.Concatenate()([x, y, x]))


def selecting_net(inputs):
    x = conv(6, 'stem')(inputs)
    return conv(2, 'head')(layers.Add()([x, conv(6, 'branch')(x)]))


def shared_net(inputs):
    shared = conv(3, 'shared')
    return conv(2, 'head')(shared(shared(inputs)))


def nested_net(inputs):
    inner = keras.Sequential([keras.Input((4, 5, 6)), layers.Conv2D(3, 1)], name='inner')
    return conv(2, 'head')(inner(conv(6, 'stem')(inputs)))


def dead_net(inputs):
    x = conv(6, 'stem')(inputs)
    added = layers.Add()([x, conv(6, 'dead', 3)(x)])
    return conv(2, 'head')(layers.Concatenate()([conv(4, 'reader')(x), conv(3, 'dead_reader')(added)]))


def tied_net(inputs):
    x, y = conv(4, 'stem')(inputs), conv(4, 'other')(inputs)
    return layers.Concatenate()([conv(2, 'a')(layers.Add()([x, y])), conv(2, 'b')(x)])


@pytest.mark.parametrize(
    ('build', 'kept', 'macs'),
    [
        (depthwise_net, {'head': [0, 3]}, 20 * (3 * 2 + 9 * 2 * 2 + 4 * 2)),
        (flat_net, {'logits': [1, 4]}, 20 * 3 * 2 + 20 * 2 * 7),
        (separable_net, {'middle': [0, 5], 'head': [2]}, 20 * (3 * 2 + 9 * 2 * 2 + 4 * 1 + 1 * 2)),
        (transposed_net, {'up': [1], 'head': [0, 4]}, 20 * (3 * 1 + 4 * 1 * 2) + 80 * 2 * 2),
        (doubled_net, {'head': [0, 5]}, 20 * (3 * 1 + 3 * 1 + 9 * 3 * 2)),
        (selecting_net, {'branch': [0, 1]}, 20 * (3 * 6 + 6 * 2 + 2 * 6 + 6 * 2)),
        (tied_net, {'a': [0], 'b': [1]}, 20 * (3 * 2 + 3 * 2 + 2 * (2 * 1 + 1 * 2))),
        (shared_net, {'head': [1]}, 20 * (2 * 3 * 3 + 3 * 1 + 1 * 2)),
        (nested_net, {'head': [1]}, 20 * (3 * 6 + 6 * 3 + 3 * 1 + 1 * 2)),
        (dead_net, {'reader': [2], 'head': [0, 3]}, 20 * (3 * 1 + 1 * 2 + 2 * 2)),
    ],
)
def test_by_hand(build, kept, macs):
    model = image_model(build)
    assert quick(model, kept) == macs == total_macs(model, kept)
    assert quick(model, {}) == total_macs(model) > macs


def test_a_channel_selection_of_the_model_itself():
    model = image_model(lambda x: conv(2, 'head')(ChannelSelect([1, 2, 5], 6)(conv(6, 'stem')(x))))
    for kept in ({'head': [1]}, {'head': [0, 2]}):
        assert quick(model, kept) == total_macs(model, kept)


def test_vectors_are_selected_for_free():
    inputs = keras.Input((6,))
    model = keras.Model(inputs, layers.Dense(2, name='head')(inputs))
    assert quick(model, {'head': [0, 3]}) == total_macs(model, {'head': [0, 3]}) == 2 * 2


def test_a_model_without_readers():
    model = image_model(lambda x: layers.Flatten()(layers.ReLU()(x)))
    assert quick(model, {}) == 0


def test_an_unknown_size_matters_only_where_it_is_needed():
    sized, free = keras.Input((8,)), keras.Input((None, None, 3))
    pooled = layers.GlobalMaxPooling2D()(conv(4, 'wide')(free))
    model = keras.Model([sized, free], layers.Dense(2, name='head')(layers.Concatenate()([sized, pooled])))
    assert quick(model, {'head': [0, 7]}) == 2 * 2
    with pytest.raises(UsageError, match="layer 'wide' depends on a size that is unknown"):
        quick(model, {})


def test_choices_unite():
    macs = ChoiceMacs(image_model(flat_net))
    assert macs.mask('logits', [1]) | macs.mask('logits', [4, 1]) == macs.mask('logits', [1, 4])


@pytest.mark.parametrize(
    ('masked', 'channels', 'message'),
    [
        ('stem', [3], "layer 'stem' has no input channel 3; it has 3"),
        ('stem', [], "layer 'stem' would read no channel at all"),
        ('other', [0], "layer 'other', which is not a convolution or dense layer"),
    ],
)
def test_choices_that_cannot_be_are_refused(masked, channels, message):
    with pytest.raises(UsageError, match=message):
        ChoiceMacs(image_model(flat_net)).mask(masked, channels)


def test_masks_of_others_are_refused():
    macs = ChoiceMacs(image_model(flat_net))
    for mask in (0, macs.mask('logits', [0])):
        with pytest.raises(UsageError, match=r"layer 'stem' cannot read the bit set .* mask\('stem', channels\)"):
            macs.total({'stem': mask})
    with pytest.raises(UsageError, match="layer 'other', which is not a convolution"):
        macs.total({'other': 1})
