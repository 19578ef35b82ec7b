from __future__ import annotations

import logging

import pytest
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph import frozen_share, refuse_frozen, warn_of_frozen

layers = keras.layers


def network() -> keras.Model:
    return keras.Sequential(
        [
            layers.Dense(3, input_shape=(2,), name='first'),
            layers.BatchNormalization(name='bn'),
            layers.Dense(1, name='last'),
        ]
    )


def test_moving_statistics_are_not_counted():
    model = network()
    assert frozen_share(model) == (0, 9 + 6 + 4)
    model.get_layer('bn').trainable = False
    assert frozen_share(model) == (6, 19)


def test_a_frozen_part_is_named(caplog):
    model = network()
    with caplog.at_level(logging.WARNING, logger='absl'):
        warn_of_frozen(model, 'here')
        assert caplog.messages == []
        model.get_layer('first').trainable = False
        warn_of_frozen(model, 'here')
    (message,) = caplog.messages
    assert message.startswith('here: 47 % of its parameters (9 of 19) are frozen (trainable=False): training and')
    refuse_frozen(model, 'here')


def test_nothing_to_train_is_refused():
    model = network()
    refuse_frozen(model, 'here')
    model.trainable = False
    with pytest.raises(UsageError, match=r'^here: all of its 19 parameters are frozen .*; set trainable = True'):
        refuse_frozen(model, 'here')
    refuse_frozen(keras.Sequential([layers.ReLU(input_shape=(2,))]), 'here')
