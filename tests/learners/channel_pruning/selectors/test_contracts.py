"""What every registered selector promises."""

from __future__ import annotations

import functools
import sys

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.contributions import contributions
from pocketflow.learners.channel_pruning.pruning import choose
from pocketflow.learners.channel_pruning.refit import LayerRegression
from pocketflow.learners.channel_pruning.regressions import Sampling
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext, Selector, Supervision
from pocketflow.learners.channel_pruning.stream_regression import StreamRegression
from pocketflow.utils.channels import reader_channels, trace
from pocketflow.utils.channels.groups import groupings_of_readers
from pocketflow.utils.channels.streams import streams

layers = keras.layers

NUM_CHANNELS = {'stem': 3, 'grouped': 8, 'point': 8, 'joined': 12, 'gate': 4, 'hidden': 6, 'logits': 5}
DEAD = {'grouped': 2, 'point': 5}
"""Reader -> a channel whose filter, scale and weights are zero."""
BLIND = ('random',)
"""Selectors that see nothing."""


@functools.cache
def network() -> keras.Model:
    """A network with a grouped, a depthwise and a flattened layer, a concatenation, a gate and a shared activation."""
    keras.utils.set_random_seed(0)
    relu, inputs = layers.ReLU(name='relu'), keras.Input((8, 8, 3))
    stem = relu(layers.BatchNormalization(name='bn1')(layers.Conv2D(8, 3, padding='same', name='stem')(inputs)))
    x = layers.Conv2D(8, 3, padding='same', groups=2, name='grouped')(stem)
    x = layers.DepthwiseConv2D(3, 2, 'same', depth_multiplier=2, use_bias=False)(
        relu(layers.BatchNormalization(name='bn2')(x))
    )
    x = layers.Conv2D(4, 1, name='point')(relu(x))
    x = layers.Concatenate()([x, layers.MaxPooling2D()(stem)])
    x = layers.Conv2D(6, 3, strides=2, padding='same', activation='relu', name='joined')(x)
    gate = layers.Dense(6, activation='sigmoid', name='gate')(layers.Dense(4, name='squeeze')(means(x)))
    x = layers.Flatten()(layers.Multiply()([x, layers.Reshape((1, 1, 6))(gate)]))
    x = layers.Dense(5, activation='relu', name='hidden')(x)
    model = keras.Model(inputs, layers.Dense(4, name='logits')(x))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(weight + rng.uniform(0.0, 0.3, weight.shape))
    remove(model, DEAD['grouped'], 'stem', 'bn1')
    remove(model, DEAD['point'], 'grouped', 'bn2')
    for name, weights in (('grouped', np.s_[:, :, 2, :4]), ('point', np.s_[:, :, 10:12, :])):
        kernel = model.get_layer(name).kernel.numpy()
        kernel[weights] = 0
        model.get_layer(name).kernel.assign(kernel)
    return model


def means(x: tf.Tensor) -> tf.Tensor:
    return layers.GlobalAveragePooling2D()(x)


def remove(model: keras.Model, channel: int, maker: str, norm: str) -> None:
    """Sets a filter, and all that batch norm does with its output, to zero."""
    for name in (maker, norm):
        layer = model.get_layer(name)
        weights = layer.get_weights()
        for weight in weights[:2]:
            weight[..., channel] = 0
        layer.set_weights(weights)


@functools.cache
def context() -> SelectionContext:
    model, rng = network(), np.random.default_rng(0)
    readers = {name: reader for name, reader in reader_channels(model).items() if name in NUM_CHANNELS}
    images = rng.normal(size=(25, 8, 8, 3)).astype(np.float32)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return SelectionContext(model, readers, Sampling(images, 10, 1e-5, 0), Supervision(np.arange(25) % 4, loss))


@functools.cache
def regressions() -> dict[str, LayerRegression]:
    return dict(context().sampling.regressions(network(), network(), context().readers))


@functools.cache
def stream_regressions() -> list[StreamRegression]:
    known = contributions(network(), context().readers, context().sampling.images, 10, 0)
    found = [stream for stream in streams(trace(network()), context().readers) if len(stream.places) > 1]
    return [StreamRegression(stream, list(stream.places), np.flatnonzero(~stream.pinned), known) for stream in found]


@functools.cache
def selector(name: str) -> Selector:
    return SELECTORS.get(name)(context())


@functools.cache
def orders(name: str) -> dict[str, list[int]]:
    return {reader: selector(name).order(regression).tolist() for reader, regression in regressions().items()}


@pytest.mark.parametrize('name', list(SELECTORS))
def test_the_order_of_each_layer_names_each_channel_once(name):
    assert {reader: sorted(order) for reader, order in orders(name).items()} == {
        reader: list(range(number)) for reader, number in NUM_CHANNELS.items()
    }


@pytest.mark.parametrize('name', list(SELECTORS))
def test_the_order_of_a_stream_names_each_free_channel_once(name):
    assert len(stream_regressions()) >= 1
    for regression in stream_regressions():
        order = selector(name).joint_order(regression)
        assert len(order) > 1 and sorted(order.tolist()) == list(range(len(regression.free)))
        assert selector(name).choose_jointly(regression, 2).shape == (2,)


@pytest.mark.parametrize('name', list(SELECTORS))
def test_the_order_depends_on_model_images_and_seed_alone(name):
    again = SELECTORS.get(name)(context())
    assert {reader: again.order(regression).tolist() for reader, regression in regressions().items()} == orders(name)


@pytest.mark.parametrize('name', list(SELECTORS))
def test_of_a_grouped_convolution_each_group_keeps_equally_many_channels(name):
    kept = choose(selector(name), regressions()['grouped'], 4, groupings_of_readers(trace(network()))['grouped'])
    assert np.bincount(kept // 4, minlength=2).tolist() == [2, 2]


@pytest.mark.parametrize('name', list(SELECTORS))
@pytest.mark.parametrize('reader', DEAD)
def test_a_dead_channel_comes_last(name, reader):
    if name in BLIND:
        assert orders(name)[reader] != orders('l1')[reader]
    else:
        dead, group_size = DEAD[reader], 4 if reader == 'grouped' else sys.maxsize
        assert [channel for channel in orders(name)[reader] if channel // group_size == dead // group_size][-1] == dead
