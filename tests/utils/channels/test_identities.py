"""Who is who among the channels of a model."""

from __future__ import annotations

import tf_keras as keras

from pocketflow.utils.channels import trace

layers = keras.layers


def ids(graph, tensor):
    return graph.classes[id(tensor)].tolist()


def test_identities_pass_repeat_join_and_merge():
    inputs = keras.Input((4, 4, 2))
    a, b = layers.Conv2D(2, 1)(inputs), layers.Conv2D(2, 1)(inputs)
    normed = layers.BatchNormalization()(a)
    deep = layers.DepthwiseConv2D(1, depth_multiplier=2)(a)
    flat = layers.Flatten()(layers.MaxPooling2D(2)(a))
    joined = layers.Concatenate()([b, a])
    graph = trace(keras.Model(inputs, [normed, deep, flat, joined]))
    one, two = ids(graph, a)
    assert one != two and set(ids(graph, b)).isdisjoint({one, two})
    assert ids(graph, normed) == [one, two]
    assert ids(graph, deep) == [one, one, two, two]
    assert ids(graph, flat) == [one, two] * 4
    assert ids(graph, joined) == [*ids(graph, b), one, two]


def test_an_addition_merges_channel_by_channel_also_through_other_tensors():
    inputs = keras.Input((4, 4, 2))
    a, b, c = (layers.Conv2D(2, 1)(inputs) for _ in range(3))
    graph = trace(keras.Model(inputs, [layers.Add()([a, b]), layers.Subtract()([b, c])]))
    assert ids(graph, a) == ids(graph, b) == ids(graph, c)
    assert len(set(ids(graph, a))) == 2


def test_an_unknown_layer_makes_fresh_channels_for_each_output():
    inputs = keras.Input((4, 4, 2))
    first, second = layers.Lambda(lambda x: (x, x))(inputs)
    graph = trace(keras.Model(inputs, [first, second]))
    assert len({*ids(graph, inputs), *ids(graph, first), *ids(graph, second)}) == 6
    assert id(first) in graph.fixed and id(inputs) in graph.fixed


def test_a_graph_is_traced_once():
    inputs = keras.Input((2,))
    graph = trace(keras.Model(inputs, layers.Dense(1)(inputs)))
    assert trace(graph) is graph
