"""The layers that can be told to read less, and what callers may ask of them."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.channels import reader_channels, remove_channels
from pocketflow.utils.errors import UsageError

layers = keras.layers


@pytest.fixture(scope='module')
def model() -> keras.Model:
    inputs = keras.Input((2, 2, 3))
    x = layers.Conv2D(4, 1, name='a')(inputs)
    x = layers.DepthwiseConv2D(1, name='depthwise')(x)
    x = layers.SeparableConv2D(2, 1, name='b')(layers.Concatenate()([x, inputs, x]))
    return keras.Model(inputs, layers.Dense(2, name='c')(layers.Flatten()(x)), name='small')


def test_readers_in_order_with_their_channels(model):
    readers = reader_channels(model)
    assert list(readers) == ['a', 'b', 'c']
    assert [reader.kind for reader in readers.values()] == ['conv', 'conv', 'dense']
    assert [reader.num_channels for reader in readers.values()] == [3, 7, 2]
    assert [p.tolist() for p in readers['b'].positions] == [[0, 7], [1, 8], [2, 9], [3, 10], [4], [5], [6]]
    assert [p.tolist() for p in readers['c'].positions] == [[0, 2, 4, 6], [1, 3, 5, 7]]


@pytest.mark.parametrize(
    ('kept', 'message'),
    [
        ({'depthwise': [0]}, r"layer 'depthwise', which is not .* of model 'small' .*: a, b, c"),
        ({'b': []}, r"layer 'b' would read no channel at all; keep at least one of 0\.\.6"),
        ({'b': [0, 7]}, r"layer 'b' has no input channel 7; it has 7, numbered 0\.\.6"),
        ({'a': [-1]}, r"layer 'a' has no input channel -1; it has 3, numbered 0\.\.2"),
        ({'a': [0.5]}, r"layer 'a': kept channel 0\.5 is not an integer"),
    ],
)
def test_a_wrong_choice_is_one_clear_line(model, kept, message):
    with pytest.raises(UsageError, match=message) as failure:
        remove_channels(model, kept)
    assert '\n' not in str(failure.value)


def test_order_and_repetition_do_not_matter(model, same_outputs):
    same_outputs(remove_channels(model, {'b': np.array([6, 0, 0])}), remove_channels(model, {'b': (0, 6)}))
