from __future__ import annotations

from collections import Counter

import pytest
import tf_keras as keras

from utils.channels import ChannelSelect
from utils.export.convert import convert
from utils.export.operators import new_operators, operators


def test_operators_of_a_residual_net(net):
    found = operators(convert(net, 'float32'))
    # The first batch norm disappears into no convolution (its input has two readers), nor does the one behind
    # the sum: each is a multiplication and an addition.
    assert found == Counter(CONV_2D=2, MUL=2, ADD=3, AVERAGE_POOL_2D=1, RESHAPE=1, FULLY_CONNECTED=1)


def test_operators_seen_do_not_depend_on_a_delegate(net):
    assert 'DELEGATE' not in operators(convert(net, 'float32'))


def test_channel_select_becomes_one_gather():
    inputs = keras.Input((4, 4, 6))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 1)(ChannelSelect([0, 2, 5], 6)(inputs)))
    assert operators(convert(model, 'float32')) == Counter(GATHER=1, CONV_2D=1)


@pytest.mark.parametrize(('compressed', 'extra'), [
    (Counter(CONV_2D=3, ADD=1), Counter()),
    (Counter(CONV_2D=2), Counter()),
    (Counter(CONV_2D=3, ADD=1, GATHER=4), Counter()),
    (Counter(CONV_2D=5, ADD=1, TRANSPOSE=1, GATHER=1), Counter(CONV_2D=2, TRANSPOSE=1)),
])
def test_new_operators(compressed, extra):
    assert new_operators(Counter(CONV_2D=3, ADD=1), compressed) == extra
