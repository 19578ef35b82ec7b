from __future__ import annotations

from collections import Counter

import pytest
import tf_keras as keras

from pocketflow.utils.channels import ChannelSelect
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.operators import new_operators, operators


def test_operators_of_a_residual_net(net):
    found = operators(convert(net, 'float32'))
    # The first batch norm disappears into no convolution (its input has two readers), nor does the one behind
    # the sum: each is a multiplication and an addition.
    assert found == Counter(CONV_2D=2, MUL=2, ADD=3, AVERAGE_POOL_2D=1, RESHAPE=1, FULLY_CONNECTED=1)


def test_operators_seen_do_not_depend_on_a_delegate(net):
    assert 'DELEGATE' not in operators(convert(net, 'float32'))


def test_a_channel_select_swallows_the_norm_and_the_activation_behind_it():
    inputs = keras.Input((4, 4, 6))
    selected = keras.layers.ReLU()(keras.layers.BatchNormalization()(ChannelSelect([0, 2, 5], 6)(inputs)))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 1)(selected))
    assert operators(convert(model, 'float32')) == Counter(CONV_2D=2)


def test_a_channel_select_of_vectors_is_one_gather():
    inputs = keras.Input((6,))
    model = keras.Model(inputs, keras.layers.Dense(2)(ChannelSelect([0, 2, 5], 6)(inputs)))
    assert operators(convert(model, 'float32')) == Counter(GATHER=1, FULLY_CONNECTED=1)


@pytest.mark.parametrize(
    ('compressed', 'num_selects', 'extra'),
    [
        (Counter(CONV_2D=3, ADD=1), 0, Counter()),
        (Counter(CONV_2D=2), 0, Counter()),
        (Counter(CONV_2D=3, ADD=1, GATHER=4), 4, Counter()),
        (Counter(CONV_2D=3, ADD=1, GATHER=4), 3, Counter(GATHER=1)),
        (Counter(CONV_2D=5, ADD=1, TRANSPOSE=1, GATHER=1), 3, Counter(TRANSPOSE=1)),
        (Counter(CONV_2D=5, ADD=1, TRANSPOSE=1), 1, Counter(CONV_2D=1, TRANSPOSE=1)),
    ],
)
def test_new_operators(compressed, num_selects, extra):
    assert new_operators(Counter(CONV_2D=3, ADD=1), compressed, num_selects) == extra
