"""Which readers of channels are pruned, and why the others are left alone."""

from __future__ import annotations

import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning.prunable import DENSE, FIRST, LAST, reasons_not_to_prune
from pocketflow.utils.channels import reader_channels

layers = keras.layers


@pytest.fixture(scope='module')
def model() -> keras.Model:
    inputs = layers.Input((8, 8, 3))
    x = inputs
    for number in (1, 2, 3):
        x = layers.Conv2D(4, 3, padding='same', name=f'conv{number}')(x)
    x = layers.Dense(5, name='hidden')(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(2, name='logits')(x))


@pytest.mark.parametrize(
    ('settings', 'expected'),
    [
        ({}, {'conv1': FIRST, 'logits': DENSE}),
        ({'skip_first': False}, {'logits': DENSE}),
        ({'skip_last': True}, {'conv1': FIRST, 'conv3': LAST, 'logits': DENSE}),
        ({'dense': 'none'}, {'conv1': FIRST, 'hidden': DENSE, 'logits': DENSE}),
        ({'dense': 'all'}, {'conv1': FIRST}),
    ],
)
def test_settings(model, settings, expected):
    assert reasons_not_to_prune(model, reader_channels(model), **settings) == expected


def test_one_channel_leaves_no_choice():
    inputs = layers.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, name='second')(layers.Conv2D(1, 3, name='first')(inputs))
    model = keras.Model(inputs, layers.Conv2D(2, 3, name='third')(x))
    reasons = reasons_not_to_prune(model, reader_channels(model), skip_first=False)
    assert reasons == {'first': 'one input channel', 'second': 'one input channel'}
