"""Multiply-adds of the operations of a file, from the shapes of their tensors.

As in `pocketflow.utils.costs`, these are of convolutions and matrix products; additions of biases, element-wise
operations and pooling are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from pocketflow.utils.export.lint.graph import Operation, Tensor


def operation_macs(operation: Operation) -> int:
    """The multiply-adds of an operation for the shapes in the file; 0 for operations without a matrix product.

    >>> image, kernel = Tensor(0, 'x', (1, 8, 8, 3), 'FLOAT32'), Tensor(1, 'w', (16, 3, 3, 3), 'FLOAT32')
    >>> operation_macs(Operation(0, 'CONV_2D', 1, (image, kernel), (Tensor(2, 'y', (1, 4, 4, 16), 'FLOAT32'),)))
    6912
    """
    formula = _FORMULAS.get(operation.name)
    return formula(operation) if formula else 0


def _shape(tensor: Tensor | None) -> tuple[int, ...]:
    return () if tensor is None else tensor.shape


def _convolution(operation: Operation) -> int:
    """Each output element is a sum over the kernel `[outputs, height, width, inputs of its group]`."""
    return operation.outputs[0].size * math.prod(_shape(operation.input(1))[1:])


def _depthwise(operation: Operation) -> int:
    """The kernel is `[1, height, width, outputs]`; each output element reads one channel."""
    return operation.outputs[0].size * math.prod(_shape(operation.input(1))[1:3])


def _transposed(operation: Operation) -> int:
    """Each input element (of input 2) is multiplied by the kernel `[outputs, height, width, inputs]`."""
    image = operation.input(2)
    return 0 if image is None else image.size * math.prod(_shape(operation.input(1))[:3])


def _fully_connected(operation: Operation) -> int:
    """The kernel is `[outputs, inputs]`."""
    return operation.outputs[0].size * math.prod(_shape(operation.input(1))[-1:])


def _matrix_product(operation: Operation) -> int:
    """Each output element is a sum over the common axis: the last one of the first matrix, unless it is transposed."""
    shape = _shape(operation.input(0))
    return operation.outputs[0].size * (shape[-2 if operation.options.get('adjX') else -1] if len(shape) > 1 else 1)


def _volume_convolution(operation: Operation) -> int:
    """The kernel is `[depth, height, width, inputs, outputs]`."""
    return operation.outputs[0].size * math.prod(_shape(operation.input(1))[:-1])


def _recurrent(operation: Operation) -> int:
    """Each weight matrix `[units, inputs]` is multiplied once per time step; the first axis of the input is the batch
    or, with `timeMajor`, the time.
    """
    steps = math.prod(_shape(operation.input(0))[:-1])
    matrices = [tensor for tensor in operation.inputs[1:] if tensor and tensor.is_constant and tensor.rank == 2]
    return steps * sum(tensor.size for tensor in matrices)


_FORMULAS: dict[str, Callable[[Operation], int]] = {
    'CONV_2D': _convolution,
    'DEPTHWISE_CONV_2D': _depthwise,
    'TRANSPOSE_CONV': _transposed,
    'FULLY_CONNECTED': _fully_connected,
    'BATCH_MATMUL': _matrix_product,
    'CONV_3D': _volume_convolution,
    'UNIDIRECTIONAL_SEQUENCE_LSTM': _recurrent,
    'UNIDIRECTIONAL_SEQUENCE_RNN': _recurrent,
}
