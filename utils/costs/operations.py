"""Multiply-adds of a function of tensors, from its traced TensorFlow operations."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from pocketflow.utils.costs.formulas import einsum_macs, kernel_macs, matmul_macs


@dataclasses.dataclass(frozen=True)
class Macs:
    """A number of multiply-adds, and the names of operations that may multiply and are not included."""

    count: int = 0
    uncounted: tuple[str, ...] = ()

    def __add__(self, other: Macs) -> Macs:
        return Macs(self.count + other.count, tuple(dict.fromkeys((*self.uncounted, *other.uncounted))))

    def times(self, number: int) -> Macs:
        return dataclasses.replace(self, count=number * self.count)


def function_macs(function: Callable[..., Any], args: Any, kwargs: Any) -> Macs:
    """Multiply-adds of `function(*args, **kwargs)`, which is traced, not run.

    Args:
      function: a function of tensors.
      args, kwargs: its arguments, with `tf.TensorSpec` in place of tensors.
    """
    values = tf.nest.flatten((args, kwargs))
    places = [place for place, value in enumerate(values) if isinstance(value, tf.TensorSpec)]

    def of_tensors(*tensors: tf.Tensor) -> Any:
        given = list(values)
        for place, tensor in zip(places, tensors, strict=True):
            given[place] = tensor
        call_args, call_kwargs = tf.nest.pack_sequence_as((args, kwargs), given)
        return function(*call_args, **call_kwargs)

    try:
        graph = tf.function(of_tensors).get_concrete_function(*(values[place] for place in places)).graph
    except Exception:  # custom functions may raise any exception outside of their model
        return Macs(0, ('a function that cannot be traced',))
    return operations_macs(graph.get_operations(), graph)


def operations_macs(operations: Iterable[tf.Operation], graph: tf.Graph) -> Macs:
    """Multiply-adds of operations, with those of the functions that they call."""
    return sum((_operation_macs(operation, graph) for operation in operations), Macs())


def _operation_macs(operation: tf.Operation, graph: tf.Graph) -> Macs:
    kind = operation.type
    if kind in _FORMULAS:
        try:
            return Macs(_FORMULAS[kind](operation))
        except (TypeError, ValueError):  # a size is unknown
            return Macs(0, (f'{kind} of unknown size',))
    if kind.startswith(_OPAQUE):
        return Macs(0, (kind,))
    called = sum((operations_macs(body.get_operations(), body) for body in _called(operation, graph)), Macs())
    if kind in _CALLS:
        return called
    # The number of iterations, or the branch taken, is unknown, which matters only if there is something to count.
    return Macs(0, (kind,)) if called.count or called.uncounted else Macs()


def _called(operation: tf.Operation, graph: tf.Graph) -> Iterator[tf.Graph]:
    """The graphs of the functions that an operation calls."""
    for attribute in operation.node_def.attr.values():
        names = [attribute.func.name] if attribute.func.name else [func.name for func in attribute.list.func]
        for name in names:
            yield graph._get_function(name).graph


def _shape(tensor: tf.Tensor) -> list[int]:
    return list(tensor.shape.as_list())


def _product(shape: Sequence[int | None]) -> int:
    known = [size for size in shape if size is not None]
    if len(known) < len(shape):
        raise ValueError('unknown size')
    return math.prod(known)


def _matmul(operation: tf.Operation, transposed: str) -> int:
    first, output = _shape(operation.inputs[0]), _shape(operation.outputs[0])
    _product(output)
    return matmul_macs(output, first[-2 if operation.get_attr(transposed) else -1])


def _einsum(operation: tf.Operation) -> int:
    return einsum_macs(operation.get_attr('equation').decode(), [_shape(tensor) for tensor in operation.inputs])


def _convolution(operation: tf.Operation) -> int:
    return _kernel(operation, operation.outputs[0])


def _transposed_convolution(operation: tf.Operation) -> int:
    return _kernel(operation, operation.inputs[2])


def _kernel(operation: tf.Operation, feature_map: tf.Tensor) -> int:
    """Each value of the kernel (the second input) once per position of a feature map, for all samples."""
    sizes = _shape(feature_map)
    channels = operation.get_attr('data_format').decode().index('C')
    return kernel_macs([_shape(operation.inputs[1])], _product(sizes[:channels] + sizes[channels + 1 :]))


_FORMULAS: dict[str, Callable[[tf.Operation], int]] = {
    'MatMul': lambda operation: _matmul(operation, 'transpose_a'),
    **dict.fromkeys(('BatchMatMul', 'BatchMatMulV2', 'BatchMatMulV3'), lambda operation: _matmul(operation, 'adj_x')),
    'Einsum': _einsum,
    **dict.fromkeys(('Conv', 'Conv2D', 'Conv3D', 'DepthwiseConv2dNative'), _convolution),
    **dict.fromkeys(('Conv2DBackpropInput', 'Conv3DBackpropInputV2'), _transposed_convolution),
}

_CALLS = ('PartitionedCall', 'StatefulPartitionedCall')

_OPAQUE = (
    'PyFunc',
    'EagerPyFunc',
    'Xla',
    'Cudnn',
    'Sparse',
    'FFT',
    'IFFT',
    'RFFT',
    'IRFFT',
    'BatchFFT',
    'Matrix',
    'Cholesky',
    'Svd',
    'Qr',
    'SelfAdjointEig',
    'Dilation2D',
    'Quantized',
    'Tridiagonal',
    'BlockLSTM',
    'GRUBlock',
    'LSTMBlock',
)
"""Prefixes of the types of operations that may multiply and have no formula."""
