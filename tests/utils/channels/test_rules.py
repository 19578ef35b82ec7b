"""Which layers have a rule; what each rule computes is tested in test_rewrite.py."""

from __future__ import annotations

import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.channels.rules import Flow, is_elementwise, rule_for

layers = keras.layers


class OwnConv(layers.Conv2D):
    """A subclass may compute anything."""


def rule(layer, shape=(4, 4, 6)):
    layer(keras.Input(shape))
    return rule_for(layer.inbound_nodes[0], num_calls=1)


@pytest.mark.parametrize(
    ('layer', 'flow'),
    [
        (layers.Conv2D(2, 1), Flow.MAKES),
        (layers.Conv2D(6, 1, groups=3), Flow.MAKES),
        (layers.BatchNormalization(), Flow.PASSES),
        (layers.BatchNormalization(axis=3, scale=False, center=False), Flow.PASSES),
        (layers.DepthwiseConv2D(3), Flow.REPEATS_EACH),
        (layers.Conv2D(12, 3, groups=6), Flow.REPEATS_EACH),
        (layers.Flatten(), Flow.REPEATS_ALL),
        (layers.Activation('swish'), Flow.PASSES),
        (layers.Activation(tf.nn.relu6), Flow.PASSES),
        (layers.Dropout(0.1, noise_shape=(None, 1, 1, 1)), Flow.PASSES),
        (layers.GlobalAveragePooling2D(keepdims=True), Flow.PASSES),
    ],
)
def test_known_layers(layer, flow):
    assert rule(layer).flow is flow


@pytest.mark.parametrize(
    'layer',
    [
        OwnConv(2, 1),
        layers.MaxPooling2D(data_format='channels_first'),
        layers.Flatten(data_format='channels_first'),
        layers.BatchNormalization(axis=1),
        layers.Activation('softmax'),
        layers.Activation(lambda x: x),
        layers.Softmax(),
        layers.LayerNormalization(),
        layers.DepthwiseConv2D(3, activation='softmax'),
        layers.Conv2D(6, 3, groups=6, activation='softmax'),
        layers.Reshape((32, 3)),
        layers.Permute((2, 3, 1)),
        layers.Rescaling(2.0),
    ],
)
def test_layers_without_a_rule(layer):
    assert rule(layer) is None


@pytest.mark.parametrize(
    ('layer', 'has_rule'),
    [
        (layers.Conv2D(6, 1), False),
        (layers.BatchNormalization(), False),
        (layers.Flatten(), False),
        (layers.ReLU(), True),
        (layers.Activation('swish'), True),
        (layers.MaxPooling2D(), True),
    ],
)
def test_of_the_layers_that_are_called_twice_those_have_a_rule_that_pass_channels_on_without_weights(layer, has_rule):
    layer(keras.Input((4, 4, 6)))
    assert (rule_for(layer.inbound_nodes[0], num_calls=2) is not None) is has_rule


def test_a_layer_with_a_weight_that_its_rule_does_not_know_has_no_rule():
    layer = layers.Conv2D(2, 1)
    layer(keras.Input((4, 4, 6)))
    layer.add_weight(name='mask', shape=(2,))
    assert rule_for(layer.inbound_nodes[0], num_calls=1) is None


def test_a_merge_with_a_constant_has_no_rule():
    layer = layers.Add()
    layer([keras.Input((4, 4, 6)), tf.ones((1, 4, 4, 6))])
    assert rule_for(layer.inbound_nodes[0], num_calls=1) is None


def test_channels_of_unknown_number_have_no_rule():
    assert rule(layers.ReLU(), (4, None)) is None


def test_activations():
    assert is_elementwise(layers.Dense(2)) and is_elementwise(layers.Dense(2, activation='gelu'))
    assert is_elementwise(layers.Flatten())
    assert not is_elementwise(layers.Dense(2, activation='softmax'))
    assert not is_elementwise(layers.Dense(2, activation=lambda x: x))
