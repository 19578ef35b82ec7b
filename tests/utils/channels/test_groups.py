from __future__ import annotations

import numpy as np
import tf_keras as keras

from pocketflow.learners.channel_pruning.pruning import prune_channels
from pocketflow.utils.channels import drop_inputs, reader_channels, trace
from pocketflow.utils.channels.groups import evenly, groupings_of_readers, interleaved

layers = keras.layers


def regnet(gated: bool = False) -> keras.Model:
    """A residual block with a grouped convolution of three groups, as in RegNetX; with a gate, as in RegNetY."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 3))
    stem = layers.Conv2D(8, 3, activation='relu', padding='same', name='stem')(inputs)
    x = layers.Conv2D(12, 1, activation='relu', name='narrow')(stem)
    x = layers.Conv2D(12, 3, groups=3, padding='same', use_bias=False, name='grouped')(x)
    x = layers.ReLU()(layers.BatchNormalization(name='norm')(x))
    if gated:
        means = layers.GlobalAveragePooling2D(keepdims=True)(x)
        squeezed = layers.Conv2D(6, 1, activation='relu', name='squeeze')(means)
        x = layers.Multiply()([x, layers.Conv2D(12, 1, activation='sigmoid', name='gate')(squeezed)])
    x = layers.Add()([stem, layers.Conv2D(8, 1, name='wide')(x)])
    return keras.Model(inputs, layers.Dense(4, name='logits')(layers.GlobalAveragePooling2D()(x)))


def per_group(channels: np.ndarray, size: int = 4) -> list[int]:
    return np.bincount(np.asarray(channels) // size, minlength=3).tolist()


def test_readers_before_and_behind_a_grouped_convolution():
    grouped = groupings_of_readers(trace(regnet()))
    groups = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert {name: [[group.tolist() for group in found] for found in all_] for name, all_ in grouped.items()} == {
        **dict.fromkeys(reader_channels(regnet()), []),
        'grouped': [groups],
        'wide': [groups],
    }


def test_equally_many_of_each_group_and_others_by_their_rank():
    order = np.array([7, 8, 0, 1, 2, 3, 4, 5, 6])
    groups = [np.array([0, 1, 2]), np.array([3, 4, 5])]
    assert evenly(order, 6, [groups]).tolist() == [0, 1, 3, 4, 7, 8]  # 0, 1, 2, 3 would be the first of the groups
    assert evenly(order, 3, [groups]).tolist() == [0, 3, 7, 8]
    assert evenly(order, 2, [groups]).tolist() == [7, 8]
    assert evenly(order, 9, [[groups[0], groups[1][:1]]]).tolist() == list(range(9))


def test_a_grouped_convolution_loses_outputs_and_the_network_is_the_masked_one():
    images = np.random.default_rng(0).normal(size=(20, 6, 6, 3)).astype(np.float32)
    for gated in (False, True):
        model = regnet(gated)
        result = prune_channels(model, images, 0.5)
        assert per_group(result.kept['grouped']) == per_group(result.kept['wide']) == [2, 2, 2]
        np.testing.assert_allclose(result.model(images), drop_inputs(result.refitted, result.kept)(images), atol=1e-5)
        shapes = [result.model.get_layer(name).kernel.shape[2:] for name in ('narrow', 'grouped', 'wide')]
        assert shapes == [(8, 6), (2, 6), (6, 8)]


def test_an_order_of_rounds_in_which_each_group_has_its_turn():
    groups = [np.array([0, 1, 2]), np.array([3, 4, 5])]
    order = interleaved(np.array([7, 8, 0, 1, 2, 3, 4, 5, 6]), [groups])
    assert order.tolist() == [7, 8, 0, 3, 1, 4, 2, 5, 6]
    assert interleaved(np.array([2, 0, 1]), []).tolist() == [2, 0, 1]
