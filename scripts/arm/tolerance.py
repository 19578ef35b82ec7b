"""Tolerances for the outputs of a file on two machines that both compute it correctly.

The tolerance depends on the file's arithmetic, which is read from the file.
"""

from __future__ import annotations

import dataclasses

from ai_edge_litert import schema_py_generated as schema

from pocketflow.utils.export.operators import operator_names, type_name

CONVERSIONS = ('QUANTIZE', 'DEQUANTIZE')
INTEGERS = ('INT4', 'INT8', 'UINT8', 'INT16')


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """The largest accepted absolute difference: `limit` times the outputs' range, or times one quantization step.

    `step` is the output's quantization scale, in the units of the output; None if the unit is the range.
    """

    arithmetic: str
    limit: float
    step: float | None = None


FLOAT = Tolerance('float', 1e-4)
"""For float32 rounding errors of another order of summation, accumulated over the layers; wrong kernels exceed it."""

DYNAMIC = Tolerance('dynamic', 1e-2)
"""Activations are quantized to 8 bits at run time: a float32 rounding error may change a value by 1/255."""

INTEGER_STEPS = 1
"""For integer arithmetic throughout, which is bit-identical but for rare differences in rounding."""

INT4_STEPS = 4
"""For 4-bit weights, for which LiteRT uses kernels that round differently on ARM, once per layer."""


def tolerance(content: bytes) -> Tolerance:
    """The tolerance of a file with one graph and one output, from its bytes."""
    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    step = _step_of_output(model, graph)
    if step is not None:
        has_int4 = 'INT4' in _types(graph, range(graph.TensorsLength()))
        return Tolerance('int8 activations', INT4_STEPS if has_int4 else INTEGER_STEPS, step)
    return DYNAMIC if any(_is_hybrid(graph, operator) for _, operator in _arithmetic(model, graph)) else FLOAT


def _step_of_output(model: schema.Model, graph: schema.SubGraph) -> float | None:
    """The quantization scale of the output, or of the input of a final DEQUANTIZE; None for float outputs."""
    place = graph.Outputs(0)
    for name, operator in _operators(model, graph):
        if name == 'DEQUANTIZE' and operator.Outputs(0) == place:
            place = operator.Inputs(0)
    tensor = graph.Tensors(place)
    return float(tensor.Quantization().Scale(0)) if type_name(tensor.Type()) in INTEGERS else None


def _is_hybrid(graph: schema.SubGraph, operator: schema.Operator) -> bool:
    """Whether an operation combines float activations with integer weights."""
    read = _types(graph, (operator.Inputs(number) for number in range(operator.InputsLength())))
    return 'FLOAT32' in read and not read.isdisjoint(('INT4', 'INT8'))


def _arithmetic(model: schema.Model, graph: schema.SubGraph):
    return [(name, operator) for name, operator in _operators(model, graph) if name not in CONVERSIONS]


def _operators(model: schema.Model, graph: schema.SubGraph):
    names = operator_names(model)
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        yield names[operator.OpcodeIndex()], operator


def _types(graph: schema.SubGraph, places) -> set[str]:
    return {type_name(graph.Tensors(place).Type()) for place in places if place >= 0}
