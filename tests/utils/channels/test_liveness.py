"""What each tensor still has to store."""

from __future__ import annotations

import tf_keras as keras

from pocketflow.utils.channels.identities import trace
from pocketflow.utils.channels.liveness import liveness
from pocketflow.utils.channels.readers import kept_identities

layers = keras.layers


def left(model, tensor, kept):
    graph = trace(model)
    return liveness(graph, kept_identities(graph, kept)).left(id(tensor)).tolist()


def residual_net():
    inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(4, 1, name='stem')(inputs)
    normed = layers.BatchNormalization()(x)
    total = layers.Add()([x, layers.Conv2D(4, 1, name='a')(normed)])
    pooled = layers.GlobalMaxPooling2D()(total)
    return keras.Model(inputs, layers.Dense(2, name='b')(pooled)), x, normed, total, pooled


def test_operands_store_what_anyone_reads_and_others_what_their_readers_need():
    model, x, normed, total, pooled = residual_net()
    kept = {'a': [0], 'b': [1, 3]}
    assert left(model, x, kept) == left(model, total, kept) == [0, 1, 3]
    assert left(model, normed, kept) == [0]
    assert left(model, pooled, kept) == [1, 3]


def test_inputs_and_outputs_are_whole():
    model, *_ = residual_net()
    assert left(model, model.inputs[0], {'stem': [1]}) == [0, 1, 2]
    assert left(model, model.outputs[0], {'b': [0]}) == [0, 1]


def test_an_addition_that_nobody_reads_ties_nothing_and_its_readers_read_nothing():
    inputs = keras.Input((4, 4, 3))
    a, b = layers.Conv2D(2, 1, name='a')(inputs), layers.Conv2D(2, 1, name='b')(inputs)
    dead = layers.Conv2D(2, 1, name='dead')(layers.Add()([a, b]))
    parts = [layers.Conv2D(1, 1, name='reader_a')(a), layers.Conv2D(1, 1, name='reader_b')(b), dead]
    model = keras.Model(inputs, layers.Conv2D(1, 1, name='last')(layers.Concatenate()(parts)))
    kept = {'reader_a': [1], 'reader_b': [0], 'last': [0, 1]}
    assert left(model, dead, kept) == []
    assert left(model, a, kept) == [1] and left(model, b, kept) == [0]
    assert left(model, a, {**kept, 'last': [0, 1, 2]}) == [0, 1]
