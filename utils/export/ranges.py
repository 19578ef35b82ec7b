"""Activation ranges in a calibrated file: those that no int8 file could hold are widened, or refused.

A tensor that is zero on all calibration images, as behind a ReLU that never fires, has a range of no width. Its scale
would be so small that the factor `input scale * weight scale / output scale` of the operation that writes it leaves
what the runtime accepts (XNNPACK: below 256), and the file could not be loaded.
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
"""Ranges above this come from infinities: a ReLU makes the largest float32 number of them."""

PRODUCTS = ('CONV_2D', 'DEPTHWISE_CONV_2D', 'FULLY_CONNECTED', 'TRANSPOSE_CONV', 'BATCH_MATMUL', 'MUL')
"""Operations whose outputs are products of their inputs' values, or sums of such."""
SUMS = ('ADD', 'SUB', 'MEAN', 'SUM')
FIXED = ('LOGISTIC', 'TANH', 'SOFTMAX')
"""Operations whose int8 outputs have the scale of a range of 1 or 2, whatever was observed."""


def with_possible_ranges(content: bytes) -> bytearray:
    """A calibrated float32 file in which no range is too narrow for int8.

    The output of a product or sum gets a range of at least `LEAST_SHARE` of the magnitude that its inputs allow; a
    tensor that was always zero gets one of that magnitude, since its true range is not known. The quantizer derives
    all scales from these ranges, those of the biases included.

    Args:
      content: as the calibrator of TensorFlow Lite returns it: tensors have `min` and `max`.

    Raises:
      PocketFlowError: a tensor took values that are not finite.
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
    """(min, max) of a calibrated tensor; other tensors have none."""
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
