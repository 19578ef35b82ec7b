"""How far a file's outputs may differ between two machines that both compute it correctly.

Which of them applies depends on the arithmetic that the file asks for, read from the file itself.
"""

from __future__ import annotations

import dataclasses

from ai_edge_litert import schema_py_generated as schema

from pocketflow.utils.export.operators import operator_names, type_name

CONVERSIONS = ('QUANTIZE', 'DEQUANTIZE')
INTEGERS = ('INT4', 'INT8', 'UINT8', 'INT16')


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """The largest accepted absolute difference, `limit` times a unit: the outputs' range, or one step of their code.

    `step` is the scale of the output's code, in the units of the output; None where the unit is the range.
    """

    arithmetic: str
    limit: float
    step: float | None = None


FLOAT = Tolerance('float', 1e-4)
"""Sums in another order: rounding of float32 (1e-7), grown through the layers. A wrong kernel is far above it."""

DYNAMIC = Tolerance('dynamic', 1e-2)
"""Activations become 8-bit codes while the file runs; where rounding of float32 tips one, a value moves by 1/255."""

INTEGER_STEPS = 1
"""Codes throughout, with kernels that give the same codes everywhere; one step is left for a rounding that tips."""

INT4_STEPS = 4
"""As before, but with 4-bit weights LiteRT falls back on kernels that round otherwise on ARM, once in each layer."""


def tolerance(content: bytes) -> Tolerance:
    """What applies to the file with these bytes, of one graph and one output."""
    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    step = _step_of_output(model, graph)
    if step is not None:
        has_int4 = 'INT4' in _types(graph, range(graph.TensorsLength()))
        return Tolerance('int8 activations', INT4_STEPS if has_int4 else INTEGER_STEPS, step)
    return DYNAMIC if any(_is_hybrid(graph, operator) for _, operator in _arithmetic(model, graph)) else FLOAT


def _step_of_output(model: schema.Model, graph: schema.SubGraph) -> float | None:
    """The scale of the codes that the output consists of, or was made of by a last DEQUANTIZE."""
    place = graph.Outputs(0)
    for name, operator in _operators(model, graph):
        if name == 'DEQUANTIZE' and operator.Outputs(0) == place:
            place = operator.Inputs(0)
    tensor = graph.Tensors(place)
    return float(tensor.Quantization().Scale(0)) if type_name(tensor.Type()) in INTEGERS else None


def _is_hybrid(graph: schema.SubGraph, operator: schema.Operator) -> bool:
    """Whether an operation multiplies float activations with integer weights."""
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
