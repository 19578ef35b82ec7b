"""Channel counts without building a model."""

from __future__ import annotations

import tf_keras as keras

from pocketflow.utils.channels import ChannelCounts, channel_counts, trace

layers = keras.layers


def test_counts_before_and_after():
    inputs = keras.Input((2, 2, 3))
    x = layers.Conv2D(4, 1, name='a')(inputs)
    vector = layers.Concatenate()([layers.Flatten()(x), layers.Dense(5, name='dead')(layers.Flatten()(x))])
    graph = trace(keras.Model(inputs, layers.Dense(2, name='b')(vector)))
    assert channel_counts(graph, {'a': [0], 'b': [1, 2]}) == {
        'a': ChannelCounts(3, 1, 4, 2),
        'dead': ChannelCounts(16, 0, 5, 0),
        'b': ChannelCounts(21, 8, 2, 2),
    }
