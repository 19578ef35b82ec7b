"""The invariant of channel removal on random graphs: nothing changes but the size."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import tf_keras as keras
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pocketflow.utils.channels import channel_counts, reader_channels, remove_channels
from pocketflow.utils.costs.cost_model import total_macs, total_parameters

layers = keras.layers


@dataclasses.dataclass
class RandomNet:
    """Grows a network whose feature maps are all of one size, so that any two can meet."""

    draw: st.DrawFn
    names: itertools.count = dataclasses.field(default_factory=itertools.count)
    relu: layers.Layer = dataclasses.field(default_factory=layers.ReLU)
    """One layer, called wherever it is drawn."""

    def channels(self) -> int:
        return self.draw(st.integers(1, 6))

    def conv(self, x, filters: int | None = None):
        size = self.draw(st.sampled_from([1, 3]))
        return layers.Conv2D(filters or self.channels(), size, padding='same', name=f'conv{next(self.names)}')(x)

    def grow(self, tensors: list) -> object:
        x, other = self.draw(st.sampled_from(tensors)), self.draw(st.sampled_from(tensors))
        return self.draw(st.sampled_from(OPERATIONS))(self, x, other)

    def head(self, x):
        vector = self.draw(st.sampled_from([layers.Flatten, layers.GlobalMaxPooling2D]))()(x)
        return layers.Dense(2, activation=self.draw(st.sampled_from([None, 'softmax'])))(vector)


def separable(net, x, other):
    return layers.SeparableConv2D(net.channels(), 3, padding='same', depth_multiplier=2)(x)


def transposed(net, x, other):
    return layers.Conv2DTranspose(net.channels(), 3, padding='same')(x)


def grouped(net, x, other):
    return layers.Conv2D(2 * net.channels(), 3, padding='same', groups=2)(net.conv(x, 2 * net.channels()))


def depthwise(net, x, other):
    channels, multiplier = x.shape[-1], net.draw(st.integers(1, 2))
    if net.draw(st.booleans()):
        return layers.Conv2D(multiplier * channels, 3, padding='same', groups=channels)(x)
    return layers.DepthwiseConv2D(3, padding='same', depth_multiplier=multiplier)(x)


def activation(net, x, other):
    shared = [layers.PReLU(shared_axes=[1, 2]), layers.PReLU(shared_axes=[1, 2, 3]), layers.ReLU(6.0), net.relu]
    return net.draw(st.sampled_from(shared))(x)


def residual(net, x, other):
    y = net.draw(st.sampled_from([layers.ReLU(), net.relu]))(layers.BatchNormalization()(x))
    return layers.Add()([x, net.conv(net.conv(y), x.shape[-1])])


def average(net, x, other):
    return layers.Average()([x, other if other.shape[-1] == x.shape[-1] else net.conv(other, x.shape[-1])])


def gate(net, x, other):
    weights = layers.Dense(x.shape[-1], activation='sigmoid')(layers.GlobalAveragePooling2D()(x))
    return layers.Multiply()([x, layers.Reshape((1, 1, x.shape[-1]))(weights)])


OPERATIONS = [
    *[lambda net, x, other: net.conv(x), residual, lambda net, x, other: layers.Concatenate()([x, other])] * 2,
    separable,
    transposed,
    grouped,
    depthwise,
    activation,
    average,
    gate,
    lambda net, x, other: layers.BatchNormalization()(x),
    lambda net, x, other: layers.MaxPooling2D(2, strides=1, padding='same')(x),
    lambda net, x, other: layers.Dropout(0.5)(x),
    lambda net, x, other: layers.Multiply()([x, x]),
    lambda net, x, other: layers.LayerNormalization()(x),
    lambda net, x, other: layers.Lambda(lambda t: t[..., ::-1])(x),
]


def random_net(draw: st.DrawFn) -> tuple[keras.Model, dict[str, list[int]]]:
    """A random network and, for some of its readers, random channels to keep."""
    net = RandomNet(draw)
    inputs = [keras.Input((4, 4, 3)) for _ in range(draw(st.integers(1, 2)))]
    tensors = [net.conv(x) for x in inputs]
    for _ in range(draw(st.integers(2, 7))):
        tensors.append(net.grow(tensors[-3:]))
    joined = layers.Concatenate()([tensors[-1], *tensors[: len(inputs)]])
    outputs = [net.head(joined), *([tensors[-2]] if draw(st.booleans()) else [])]
    model = keras.Model(inputs, outputs)
    kept = {
        name: draw(st.lists(st.integers(0, reader.num_channels - 1), min_size=1, unique=True))
        for name, reader in reader_channels(model).items()
        if draw(st.integers(0, 3))
    }
    return model, kept


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.data())
def test_removal_equals_zeroing_and_leaves_nothing_unread(removed, same_outputs, data):
    model, kept = random_net(data.draw)
    counts = channel_counts(model, kept)
    smaller = removed(model, kept)
    assert total_macs(smaller) <= total_macs(model) and total_parameters(smaller) <= total_parameters(model)
    again = remove_channels(smaller, {})
    assert [w.shape for w in again.weights] == [w.shape for w in smaller.weights], 'a filter is never read'
    same_outputs(again, smaller)
    for layer in smaller.layers:
        if layer.name in counts:
            assert counts[layer.name].inputs_after == layer.input_shape[-1]
            assert counts[layer.name].outputs_after == layer.output_shape[-1]
    assert all(count.outputs_after == 0 for name, count in counts.items() if name not in _names(smaller))
    assert np.prod(smaller.outputs[0].shape[1:]) == np.prod(model.outputs[0].shape[1:])


def _names(model: keras.Model) -> set[str]:
    return {layer.name for layer in model.layers}
