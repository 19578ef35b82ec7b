from __future__ import annotations

import numpy as np
import pytest

from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.weights import Weights, layer_names, pack_nibbles, unpack_nibbles


@pytest.mark.parametrize(
    ('tensor_name', 'layers'),
    [
        ('net/conv/Conv2D', {'conv'}),
        ('net/relu/Relu;net/bn/FusedBatchNormV3;net/conv_1/Conv2D1', {'relu', 'bn', 'conv_1'}),
        ('net/block/conv/Conv2D', {'block', 'conv'}),
        ('net/dense/Tensordot/MatMul', {'dense', 'Tensordot'}),
        ('conv/conv_1/Conv2D', {'conv_1'}),
        ('StatefulPartitionedCall:0', set()),
    ],
)
def test_layer_names(tensor_name, layers):
    assert layer_names(tensor_name) == layers


def test_two_codes_share_a_byte():
    codes = np.array([1, -2, 7, -8, 3], np.int8)
    packed = pack_nibbles(codes)
    assert packed.tolist() == [0xE1, 0x87, 0x03]
    assert unpack_nibbles(packed, 5).tolist() == codes.tolist()


def test_operators_and_values_of_a_float_file(net):
    weights = Weights(convert(net, 'float32'))
    operators = weights.operators()
    assert [operator.kind for operator in operators] == ['CONV_2D', 'CONV_2D', 'FULLY_CONNECTED']
    layers = [layer for layer in net.layers if hasattr(layer, 'kernel')]
    assert all(layer.name in operator.layers for layer, operator in zip(layers, operators, strict=True))
    assert [weights.type_of(operator) for operator in operators] == ['FLOAT32'] * 3
    np.testing.assert_array_equal(weights.read(operators[2]), layers[2].kernel.numpy().T)
    # The second convolution has no batch norm behind it that could be folded.
    np.testing.assert_array_equal(weights.read(operators[1]), np.transpose(layers[1].kernel.numpy(), (3, 0, 1, 2)))
