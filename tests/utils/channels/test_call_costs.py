"""Multiply-adds of single calls by the channels that are left, by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest
import tf_keras as keras

from pocketflow.utils.channels.call_costs import CallCosts, least_inputs, select_macs, shared_out
from pocketflow.utils.channels.identities import bit_set, trace

layers = keras.layers


def costs_of(layer: keras.layers.Layer, channels: int = 6):
    """A convolution, the layer on maps of 4 x 4 pixels, and what there is to know of its call."""
    inputs = layers.Input((4, 4, 2))
    stem = layers.Conv2D(channels, 1, name='stem')(inputs)
    graph = trace(keras.Model(inputs, layer(stem)))
    (step,) = [step for step in graph.steps if step.layer is layer]
    return graph, step, CallCosts(graph)


def some(graph, key: int, count: int) -> int:
    """The first identities of a tensor, as a bit set."""
    return bit_set([int(identity) for identity in graph.classes[key]][:count])


@pytest.mark.parametrize(
    ('layer', 'inputs', 'outputs', 'expected'),
    [
        (layers.Conv2D(5, 3, padding='same'), 6, 5, 16 * 9 * 6 * 5),
        (layers.Conv2D(5, 3, padding='same'), 2, 3, 16 * 9 * 2 * 3),
        (layers.Conv2D(5, 3), 2, 3, 4 * 9 * 2 * 3),
        (layers.Conv2DTranspose(5, 2, strides=2), 2, 3, 16 * 4 * 2 * 3),  # at each place of its input
        (layers.DepthwiseConv2D(3, padding='same'), 4, 4, 16 * 9 * 4),
        (layers.Conv2D(6, 1, groups=3), 3, 6, 16 * 6),  # one of two inputs per group
    ],
)
def test_calls_by_hand(layer, inputs, outputs, expected):
    graph, step, costs = costs_of(layer)
    taken, made = some(graph, step.inputs[0], inputs), some(graph, step.outputs[0], outputs)
    assert costs.call(step, taken, made) == expected


def test_a_select_is_a_product_at_each_place_unless_it_takes_all():
    graph, step, costs = costs_of(layers.Conv2D(5, 3))
    key = step.inputs[0]
    assert costs.select(key, some(graph, key, 6), some(graph, key, 2)) == 16 * 6 * 2
    assert costs.select(key, some(graph, key, 2), some(graph, key, 2)) == 0


def test_selects_on_vectors_and_unknown_sizes_are_free():
    assert select_macs(6, (None, 4, 4, 2)) == 4 * 4 * 6 * 2
    assert select_macs(6, (None, 2)) == select_macs(6, (None, None, 4, 2)) == 0


def test_a_call_takes_one_input_of_each_group():
    for layer, least in ((layers.Conv2D(6, 1, groups=3), 3), (layers.Conv2D(6, 1), 1)):
        assert least_inputs(costs_of(layer)[1]) == least
    assert shared_out(7, 1) == 7 and shared_out(7, 2) == Fraction(7, 2)
