"""Activation ranges in a calibrated file: ranges that are too narrow for int8 are widened, infinite ones rejected.

A tensor that is zero on all calibration images, such as the output of a ReLU that is never active, has a range of width
0. Its scale would be so small that the factor `input scale * weight scale / output scale` of the operation that writes
it exceeds the limit of the runtime (XNNPACK: below 256), and the file could not be loaded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.operators import operator_names, type_name
from pocketflow.utils.export.state_ranges import shared_ranges
from pocketflow.utils.quantization.int8.limits import LEAST_SHARE, NOTHING

LARGEST_VALUE = 1e37
"""Larger ranges come from infinities, of which a ReLU makes the largest float32 number."""

PRODUCTS = ('CONV_2D', 'DEPTHWISE_CONV_2D', 'FULLY_CONNECTED', 'TRANSPOSE_CONV', 'BATCH_MATMUL', 'MUL')
"""Operations whose outputs are products of input values, or sums of such products."""
SUMS = ('ADD', 'SUB', 'MEAN', 'SUM')
FIXED = ('LOGISTIC', 'TANH', 'SOFTMAX')
"""Operations whose int8 outputs have the scale of a range of width 1 or 2, regardless of observed values."""


def with_possible_ranges(content: bytes) -> bytearray:
    """Widens the ranges in a calibrated float32 file that are too narrow for int8.

    The output of a product or sum gets a range of at least `LEAST_SHARE` of the largest magnitude that its inputs
    allow; a tensor that was always zero gets a range of that magnitude, because its true range is unknown. The
    quantizer derives all scales from these ranges, including those of the biases.

    Args:
      content: result of TensorFlow Lite's calibrator, whose tensors have `min` and `max`.

    Raises:
      PocketFlowError: a tensor had values that are not finite.
    """
    result = bytearray(content)
    model = schema.Model.GetRootAs(result, 0)
    names = operator_names(model)
    for graph in (model.Subgraphs(number) for number in range(model.SubgraphsLength())):
        _check_finite(graph)
        _share(model, graph)
        for operator in (graph.Operators(number) for number in range(graph.OperatorsLength())):
            _widen(model, graph, operator, names[operator.OpcodeIndex()])
    return result


def set_input_range(content: bytearray, low: float, high: float) -> None:
    """Sets the range of the input of a calibrated file, in place."""
    graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    found = graph.Tensors(graph.Inputs(0)).Quantization()
    found.MinAsNumpy()[:], found.MaxAsNumpy()[:] = low, high


def _check_finite(graph: schema.SubGraph) -> None:
    for number in range(graph.TensorsLength()):
        tensor = graph.Tensors(number)
        limits = _limits(tensor)
        if limits is not None and not max(map(abs, limits)) < LARGEST_VALUE:  # true for NaN, too
            raise PocketFlowError(
                f'tensor {tensor.Name().decode().split(";")[0]!r} is not finite on the calibration '
                f'images (from {limits[0]:.3g} to {limits[1]:.3g}); are the images, and the weights?'
            )


def _share(model: schema.Model, graph: schema.SubGraph) -> None:
    tensors = [graph.Tensors(number) for number in range(graph.TensorsLength())]
    known = {number: found for number, tensor in enumerate(tensors) if (found := _limits(tensor)) is not None}
    for number, (low, high) in shared_ranges(model, graph, known).items():
        tensors[number].Quantization().MinAsNumpy()[:] = low
        tensors[number].Quantization().MaxAsNumpy()[:] = high


def _widen(model: schema.Model, graph: schema.SubGraph, operator: schema.Operator, kind: str) -> None:
    inputs = [operator.Inputs(number) for number in range(operator.InputsLength())]
    magnitudes = [_magnitude(model, graph.Tensors(place)) for place in inputs if place >= 0]
    reach = math.prod(magnitudes[:2]) if kind in PRODUCTS else max(magnitudes, default=0.0)
    for tensor, limits in _outputs(graph, operator):
        low, high = min(limits[0], 0.0), max(limits[1], 0.0)
        least = _least_width(kind, reach, is_zero=high - low <= NOTHING * reach)
        if high - low < least:
            tensor.Quantization().MinAsNumpy()[:] = low
            tensor.Quantization().MaxAsNumpy()[:] = low + least


def _least_width(kind: str, reach: float, is_zero: bool) -> float:
    if kind in FIXED:
        return 1.0
    if is_zero:
        return reach
    return LEAST_SHARE * reach if kind in (*PRODUCTS, *SUMS) else 0.0


def _outputs(graph: schema.SubGraph, operator: schema.Operator) -> Iterator[tuple[schema.Tensor, tuple[float, float]]]:
    for number in range(operator.OutputsLength()):
        tensor = graph.Tensors(operator.Outputs(number))
        limits = _limits(tensor)
        if limits is not None:
            yield tensor, limits


def _limits(tensor: schema.Tensor) -> tuple[float, float] | None:
    """(min, max) of a calibrated tensor; `None` for other tensors."""
    found = tensor.Quantization()
    if found is None or found.MinLength() != 1 or found.MaxLength() != 1:
        return None
    return float(found.Min(0)), float(found.Max(0))


def _magnitude(model: schema.Model, tensor: schema.Tensor) -> float:
    """The largest absolute value of a calibrated tensor or of float32 constants; 0 for all others."""
    limits = _limits(tensor)
    if limits is not None:
        return max(map(abs, limits))
    buffer = model.Buffers(tensor.Buffer())
    if type_name(tensor.Type()) != 'FLOAT32' or not buffer.DataLength():
        return 0.0
    return float(np.abs(buffer.DataAsNumpy().view(np.float32)).max())
