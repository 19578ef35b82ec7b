"""Pruning with plain values: no network comes out larger, and the small one computes what the masked one does."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.prunable import reasons_not_to_prune
from pocketflow.learners.channel_pruning.pruning import Pruned, joint_orders, prune_channels
from pocketflow.learners.channel_pruning.regressions import Sampling
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext, Supervision
from pocketflow.utils.channels import ChannelSelect, drop_inputs, reader_channels
from pocketflow.utils.costs.cost_model import total_macs, total_parameters

layers = keras.layers


def conv(filters: int, size: int = 1, **options):
    return layers.Conv2D(filters, size, padding='same', **options)


def normed(x):
    return layers.ReLU()(layers.BatchNormalization()(x))


def bottlenecks(inputs):
    x = conv(24)(inputs)
    for _ in range(3):
        y = normed(conv(6)(normed(x)))
        x = layers.Add()([x, conv(24)(normed(conv(6, 3)(y)))])
    return conv(8)(normed(x))


def dense_block(inputs):
    x = conv(8)(inputs)
    for _ in range(4):
        x = layers.Concatenate()([x, conv(4, 3)(normed(conv(8)(normed(x))))])
    return layers.AveragePooling2D()(conv(12)(normed(x)))


def inverted_bottlenecks(inputs):
    """With squeeze-and-excite and a hard swish made of operators, as in MobileNet v3."""
    x = conv(8)(inputs)
    for _ in range(3):
        y = layers.DepthwiseConv2D(3, padding='same')(normed(conv(24)(x)))
        y = y * (layers.ReLU(6.0)(y + 3.0) * (1.0 / 6.0))
        gate = conv(6, activation='relu')(layers.GlobalAveragePooling2D(keepdims=True)(y))
        y = layers.Multiply()([y, conv(24, activation='sigmoid')(gate)])
        x = layers.Add()([x, conv(8)(y)])
    return conv(16)(x)


def inception(inputs):
    x = conv(16)(inputs)
    for _ in range(2):
        pooled = conv(4)(layers.AveragePooling2D(3, 1, padding='same')(x))
        x = layers.Concatenate()([conv(6)(x), conv(6, 3)(conv(4)(x)), pooled])
    return x


def separable(inputs):
    x = conv(16)(inputs)
    for _ in range(2):
        x = layers.Add()([x, layers.SeparableConv2D(16, 3, padding='same')(normed(x))])
    return layers.SeparableConv2D(16, 3, padding='same')(x)


def transposed(inputs):
    x = conv(8, 3)(inputs)
    y = normed(conv(16, 3)(layers.MaxPooling2D()(x)))
    return conv(8, 3)(layers.Concatenate()([layers.Conv2DTranspose(8, 2, strides=2)(y), x]))


NETWORKS = [bottlenecks, dense_block, inverted_bottlenecks, inception, separable, transposed]


def network(build) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(build(inputs))))


def sampling(num_images: int = 30) -> Sampling:
    images = np.random.default_rng(0).normal(size=(num_images, 8, 8, 3)).astype(np.float32)
    return Sampling(images, 5, 1e-5, 0)


def prunable(model: keras.Model) -> dict:
    readers = reader_channels(model)
    skipped = reasons_not_to_prune(model, readers)
    return {name: reader for name, reader in readers.items() if name not in skipped}


def prune(model: keras.Model, selector: str = 'lasso', share: float = 0.5) -> Pruned:
    images, num_positions = sampling().images, sampling().num_positions
    supervision = Supervision(
        images.mean(axis=(1, 2)), lambda labels, outputs: tf.reduce_mean((outputs[:, :3] - labels) ** 2)
    )
    return prune_channels(model, images, 1 - share, selector, num_positions=num_positions, supervision=supervision)


@pytest.mark.parametrize('build', NETWORKS, ids=[build.__name__ for build in NETWORKS])
def test_half_of_the_channels_leave_less_than_half_of_the_multiply_adds(build):
    model = network(build)
    result = prune(model)
    assert total_macs(result.model) < 0.5 * total_macs(model)
    assert total_parameters(result.model) < total_parameters(model)
    assert sum(isinstance(layer, ChannelSelect) for layer in result.model.layers) <= 2
    images = sampling().images
    masked = drop_inputs(result.refitted, result.kept)
    np.testing.assert_allclose(result.model(images), masked(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('selector', ['obs', 'l1', 'dcp', 'random', 'fpgm'])
def test_every_kind_of_selector_chooses_for_a_stream(selector):
    model = network(bottlenecks)
    assert total_macs(prune(model, selector).model) < 0.5 * total_macs(model)


def test_readers_of_a_stream_are_ordered_alike():
    model = network(bottlenecks)
    context = SelectionContext(model, prunable(model), sampling())
    orders = joint_orders(context, SELECTORS.get('lasso')(context), dict.fromkeys(context.readers, 0.5))
    assert len(orders) >= 2 and len({tuple(order.tolist()) for order in orders.values()}) == 1


def test_a_network_that_would_become_larger_is_returned_as_it_was(monkeypatch: pytest.MonkeyPatch):
    model, larger = network(bottlenecks), network(lambda inputs: conv(24)(bottlenecks(inputs)))
    monkeypatch.setattr('pocketflow.learners.channel_pruning.pruning.remove_channels', lambda *_: larger)
    result = prune(model)
    assert set(result.notes.values()) == {'the network would become larger'}
    assert total_macs(result.model) == total_macs(model) < total_macs(larger)
    np.testing.assert_array_equal(result.model(sampling().images), model(sampling().images))
