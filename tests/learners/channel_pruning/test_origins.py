"""Channels of a layer's input, and the tensors in which they originate."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning.origins import filled, origins, scores_of_origins
from pocketflow.utils.channels import reader_channels, trace
from pocketflow.utils.channels.identities import ChannelGraph

layers = keras.layers


def conv(filters: int, name: str) -> keras.layers.Layer:
    return layers.Conv2D(filters, 1, name=name)


def graph_of(build, num_inputs: int = 2) -> ChannelGraph:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 4, num_inputs))
    return trace(keras.Model(inputs, build(inputs)))


def output(graph: ChannelGraph, name: str) -> int:
    return next(step.outputs[0] for step in graph.steps if step.layer.name == name)


def scored(graph: ChannelGraph, reader: str, **scores: list[float]) -> list[float]:
    readers = {name: one for name, one in reader_channels(graph).items() if name == reader}
    given = {output(graph, name): np.array(values) for name, values in scores.items()}
    return scores_of_origins(graph, readers, given)[reader].tolist()


def test_an_addition_sums_the_scores_of_its_operands():
    def build(x):
        return conv(1, 'reads')(layers.ReLU()(layers.Add()([conv(3, 'a')(x), conv(3, 'b')(x)])))

    assert scored(graph_of(build), 'reads', a=[1, 2, 3], b=[10, 20, 30]) == [11, 22, 33]


def test_channels_that_are_added_later_have_no_part_in_what_is_read_before():
    def build(x):
        stem = conv(2, 'stem')(x)
        total = layers.Add()([stem, conv(2, 'branch')(stem)])
        return conv(1, 'reads')(total)

    graph = graph_of(build)
    assert scored(graph, 'branch', stem=[1, 2], branch=[10, 20]) == [1, 2]
    assert scored(graph, 'reads', stem=[1, 2], branch=[10, 20]) == [11, 22]


def test_a_tensor_that_arrives_by_two_ways_counts_once():
    def build(x):
        y = conv(2, 'a')(x)
        return conv(1, 'reads')(layers.Multiply()([y, layers.ReLU(6.0)(y + 3.0)]))

    assert scored(graph_of(build), 'reads', a=[1, 2]) == [1, 2]


def test_a_concatenation_joins_them():
    def build(x):
        return conv(1, 'reads')(layers.Concatenate()([conv(2, 'a')(x), conv(1, 'b')(x)]))

    assert scored(graph_of(build), 'reads', a=[1, 2], b=[3]) == [1, 2, 3]


def test_depthwise_and_flattened_channels_are_those_before():
    def build(x):
        x = layers.DepthwiseConv2D(3, depth_multiplier=2)(conv(3, 'a')(x))
        return layers.Dense(2, name='reads')(layers.Flatten()(x))

    assert scored(graph_of(build), 'reads', a=[3, 1, 2]) == [3, 1, 2]


def test_the_nearest_origin_counts_alone():
    def build(x):
        return conv(1, 'reads')(layers.BatchNormalization(name='near')(layers.BatchNormalization(name='far')(x)))

    assert scored(graph_of(build), 'reads', near=[1, 2], far=[10, 20]) == [1, 2]


def test_an_origin_without_a_score_ends_the_search():
    def build(x):
        x = layers.BatchNormalization(name='near')(layers.BatchNormalization(name='far')(x))
        return conv(1, 'reads')(x)

    graph = graph_of(build)
    graph.model.get_layer('reads').kernel.assign([[[[3.0], [5.0]]]])
    assert scored(graph, 'reads', near=[np.nan, np.nan], far=[10, 20]) == [3, 5]
    assert scored(graph, 'reads', near=[1, np.nan], far=[10, 20]) == pytest.approx([1, 5 / 3])


def test_the_search_ends_where_channels_are_made():
    graph = graph_of(lambda x: conv(1, 'reads')(conv(2, 'a')(layers.BatchNormalization(name='norm')(x))))
    key = reader_key(graph, 'reads')
    assert origins(graph, key, {output(graph, 'norm')}.__contains__) == []
    assert origins(graph, key, {key}.__contains__) == [key] == [output(graph, 'a')]


def reader_key(graph: ChannelGraph, name: str) -> int:
    return next(step.inputs[0] for step in graph.steps if step.layer.name == name)


def test_channels_that_nothing_scores_have_the_norm_of_their_weights():
    graph = graph_of(conv(3, 'reads'))
    norms = np.abs(graph.model.get_layer('reads').kernel.numpy().astype(float)).sum(axis=(0, 1, 3))
    np.testing.assert_allclose(scored(graph, 'reads'), norms)

    def build(x):
        return conv(2, 'reads')(layers.Concatenate()([x, conv(2, 'a')(x)]))

    graph = graph_of(build)
    norms = np.abs(graph.model.get_layer('reads').kernel.numpy().astype(float)).sum(axis=(0, 1, 3))
    found = scored(graph, 'reads', a=[100, 300])
    assert found[2:] == [100, 300]
    np.testing.assert_allclose(found[:2], norms[:2] * 200 / norms[2:].mean())


@pytest.mark.parametrize('call', ['twice', 'without a rule'])
def test_layers_without_a_rule_end_the_search(call):
    def build(x):
        x = layers.BatchNormalization(name='before')(x)
        if call == 'twice':
            shared = layers.BatchNormalization(name='shared')
            return conv(1, 'reads')(shared(shared(x)))
        return conv(1, 'reads')(layers.LayerNormalization(name='shared')(x))

    graph = graph_of(build)
    assert origins(graph, reader_key(graph, 'reads'), {output(graph, 'before')}.__contains__) == []
    norms = np.abs(graph.model.get_layer('reads').kernel.numpy().astype(float)).sum(axis=(0, 1, 3))
    np.testing.assert_allclose(scored(graph, 'reads', before=[1, 2]), norms)


def test_substitutes_are_on_the_scale_of_the_scores():
    assert filled(np.array([2.0, np.nan, 4.0]), np.array([10.0, 15.0, 20.0])).tolist() == [2.0, 3.0, 4.0]
    assert filled(np.array([np.nan, np.nan]), np.array([5.0, 7.0])).tolist() == [5.0, 7.0]
    assert filled(np.array([3.0, np.nan]), np.array([0.0, 0.0])).tolist() == [3.0, 0.0]
