"""Networks that cannot become int8 files are refused before training."""

from __future__ import annotations

import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.learners import int8_networks
from pocketflow.learners.int8_networks import check_network
from pocketflow.utils.errors import UsageError


def network(*stack: keras.layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((8, 8, 1)), *stack, keras.layers.Flatten(), keras.layers.Dense(10)])


def test_a_network_that_cannot_become_an_int8_file_is_refused():
    complex_layer = keras.layers.Lambda(
        lambda images: tf.abs(tf.signal.rfft(images[..., 0]))[..., tf.newaxis], name='spectrum'
    )
    with pytest.raises(UsageError, match=r'cannot make an int8 file .*: spectrum \(Lambda\); replace'):
        check_network(network(complex_layer), 'uniform-tf')
    with pytest.raises(UsageError, match="layer 'odd' of model .* is a TimeDistributed"):
        check_network(network(keras.layers.TimeDistributed(keras.layers.Dense(3), name='odd')), 'uniform-tf')


def test_usual_networks_are_not_tried_out(monkeypatch):
    monkeypatch.setattr(int8_networks, 'isolated_conversions', None)
    check_network(network(keras.layers.Conv2D(3, 3), keras.layers.BatchNormalization()), 'uniform-tf')
