from __future__ import annotations

import pytest

from pocketflow.utils.export.lint.graph import Operation, Tensor
from pocketflow.utils.export.lint.macs import operation_macs


def tensor(*shape: int, constant: bool = False) -> Tensor:
    return Tensor(0, 'x', shape, 'FLOAT32', b'' if constant else None)


@pytest.mark.parametrize(
    ('name', 'inputs', 'output', 'options', 'macs'),
    [
        # 4 * 4 * 16 outputs, each a sum over 3 * 3 * 3 products; the second with 2 groups.
        ('CONV_2D', [(1, 8, 8, 3), (16, 3, 3, 3)], (1, 4, 4, 16), {}, 256 * 27),
        ('CONV_2D', [(1, 8, 8, 6), (16, 3, 3, 3)], (1, 4, 4, 16), {}, 256 * 27),
        ('DEPTHWISE_CONV_2D', [(1, 8, 8, 6), (1, 5, 5, 6)], (1, 8, 8, 6), {}, 384 * 25),
        # Each of 4 * 4 * 2 inputs is multiplied by 3 * 3 weights for each of 5 outputs.
        ('TRANSPOSE_CONV', [(4,), (5, 3, 3, 2), (1, 4, 4, 2)], (1, 8, 8, 5), {}, 32 * 45),
        ('FULLY_CONNECTED', [(2, 7), (3, 7)], (2, 3), {}, 42),
        ('BATCH_MATMUL', [(2, 3, 5), (2, 5, 4)], (2, 3, 4), {'adjX': False}, 24 * 5),
        ('BATCH_MATMUL', [(2, 5, 3), (2, 5, 4)], (2, 3, 4), {'adjX': True}, 24 * 5),
        ('CONV_3D', [(1, 4, 4, 4, 2), (3, 3, 3, 2, 5)], (1, 2, 2, 2, 5), {}, 40 * 54),
        ('ADD', [(1, 8), (1, 8)], (1, 8), {}, 0),
    ],
)
def test_multiply_adds(name, inputs, output, options, macs):
    operation = Operation(0, name, 1, tuple(tensor(*shape) for shape in inputs), (tensor(*output),), options)
    assert operation_macs(operation) == macs


def test_recurrent_layers_multiply_all_weights_in_each_step():
    weights = [tensor(4, 3, constant=True), tensor(4, 4, constant=True), tensor(4, constant=True)]
    operation = Operation(0, 'UNIDIRECTIONAL_SEQUENCE_LSTM', 1, (tensor(1, 10, 3), *weights), (tensor(1, 10, 4),))
    assert operation_macs(operation) == 10 * (12 + 16)


def test_the_sum_for_a_file(graphs):
    operations = graphs['clean', 'float32'].operations
    assert [operation_macs(operation) for operation in operations] == [6 * 6 * 4 * 27, 0, 3 * 4]
