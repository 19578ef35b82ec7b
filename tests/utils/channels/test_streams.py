"""Which readers belong together."""

from __future__ import annotations

import numpy as np
import tf_keras as keras

from pocketflow.utils.channels import trace
from pocketflow.utils.channels.streams import streams

layers = keras.layers


def conv(filters: int, name: str):
    return layers.Conv2D(filters, 1, name=name)


def found(model: keras.Model, names: list[str]) -> list[tuple[list[str], int, int]]:
    """(readers, channels, pinned channels) of each stream."""
    return [
        (list(stream.places), len(stream.identities), int(stream.pinned.sum()))
        for stream in streams(trace(model), names)
    ]


def test_readers_of_a_residual_stream_are_one_and_a_branch_is_another():
    inputs = keras.Input((4, 4, 3))
    x = conv(8, 'stem')(inputs)
    x = layers.Add()([x, conv(8, 'b')(conv(2, 'a')(x))])
    model = keras.Model(inputs, layers.Dense(2, name='logits')(layers.GlobalMaxPooling2D()(conv(4, 'c')(x))))
    assert found(model, ['a', 'b', 'c', 'logits']) == [(['a', 'c'], 8, 0), (['b'], 2, 0), (['logits'], 4, 0)]
    assert found(model, ['a', 'b']) == [(['a'], 8, 8), (['b'], 2, 0)], 'c reads the whole stream'
    assert found(model, ['stem']) == [(['stem'], 3, 3)], 'inputs stay'


def test_a_dense_block_is_one_stream_in_which_each_reads_what_was_made_before():
    inputs = keras.Input((4, 4, 3))
    x = conv(4, 'stem')(inputs)
    for name in 'ab':
        x = layers.Concatenate()([x, conv(2, name)(x)])
    (stream,) = streams(trace(keras.Model(inputs, conv(4, 'head')(x))), ['a', 'b', 'head'])
    assert {name: places.tolist() for name, places in stream.places.items()} == {
        'a': [0, 1, 2, 3],
        'b': [0, 1, 2, 3, 4, 5],
        'head': list(range(8)),
    }
    assert stream.channels_of('b', np.array([1, 5, 7])).tolist() == [1, 5]


def test_a_layer_without_a_rule_pins_what_it_reads():
    inputs = keras.Input((4, 4, 3))
    x, y = conv(4, 'x')(inputs), conv(2, 'y')(inputs)
    both = conv(3, 'both')(layers.Concatenate()([x, y]))
    model = keras.Model(inputs, [both, layers.LayerNormalization()(x)])
    assert found(model, ['both']) == [(['both'], 6, 4)]


def test_readers_that_a_third_links():
    inputs = keras.Input((4, 4, 3))
    x, y = conv(4, 'x')(inputs), conv(2, 'y')(inputs)
    outputs = [conv(3, 'one')(x), conv(3, 'two')(y), conv(3, 'both')(layers.Concatenate()([x, y]))]
    (stream,) = streams(trace(keras.Model(inputs, outputs)), ['one', 'two', 'both'])
    assert stream.places.keys() == {'one', 'two', 'both'} and len(stream.identities) == 6


def test_channels_that_other_readers_read_are_parts_of_their_own():
    inputs = keras.Input((4, 4, 3))
    skip, deep = conv(4, 'skip')(inputs), conv(2, 'deep')(inputs)
    outputs = [conv(3, 'encoder')(skip), conv(3, 'decoder')(layers.Concatenate()([deep, skip]))]
    (stream,) = streams(trace(keras.Model(inputs, outputs)), ['encoder', 'decoder'])
    parts = {tuple(stream.identities[part].tolist()) for part in stream.parts()}
    by_encoder = tuple(stream.identities[stream.places['encoder']].tolist())
    assert len(parts) == 2 and by_encoder in parts
