"""Common ranges for the outputs and states of LSTMs in a calibrated file, and for tensors that share their scale.

The int8 kernel of an LSTM without projection computes its output with the scale of an intermediate tensor, the hidden
state, and reads it back with that of the output state. For a single LSTM both have the range of the output. If a
concatenation joins several LSTMs, as in a bidirectional layer, the quantizer gives their outputs a common scale but
does not change the states, so that consumers of the outputs would use a wrong scale.
"""

from __future__ import annotations

from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as schema

from pocketflow.utils.export.operators import operator_names

LSTM = 'UNIDIRECTIONAL_SEQUENCE_LSTM'
OUTPUT_STATE = 18
"""Index of the output state among the inputs of an LSTM operation."""
HIDDEN_STATE = 4
"""Index of the hidden state among its intermediate tensors."""
_SAME_SCALE = ('CONCATENATION', 'PACK', 'RESHAPE', 'REVERSE_V2', 'SLICE', 'SQUEEZE', 'STRIDED_SLICE', 'TRANSPOSE')
"""Operations whose outputs have the scale of their inputs."""


class _Groups:
    """Groups of tensors that share a range (union-find)."""

    def __init__(self) -> None:
        self._parents: dict[int, int] = {}

    def of(self, tensor: int) -> int:
        while (parent := self._parents.get(tensor, tensor)) != tensor:
            tensor = parent
        return tensor

    def merge(self, one: int, other: int) -> None:
        self._parents[self.of(one)] = self.of(other)


def shared_ranges(
    model: schema.Model, graph: schema.SubGraph, limits: Mapping[int, tuple[float, float]]
) -> dict[int, tuple[float, float]]:
    """The range (low, high) of each tensor that shares the scale of an LSTM: the union of the ranges of its group.

    Args:
      model, graph: a calibrated file, and a subgraph of it.
      limits: the ranges of its calibrated tensors, by number.
    """
    names, groups, outputs = operator_names(model), _Groups(), set()
    for operator in (graph.Operators(number) for number in range(graph.OperatorsLength())):
        kind, output = names[operator.OpcodeIndex()], operator.Outputs(0)
        inputs = [operator.Inputs(number) for number in range(operator.InputsLength())]
        if kind == LSTM:
            outputs.add(output)
            inputs = inputs[OUTPUT_STATE : OUTPUT_STATE + 1]
            if operator.IntermediatesLength() > HIDDEN_STATE:
                inputs.append(operator.Intermediates(HIDDEN_STATE))
        elif kind not in _SAME_SCALE:
            continue
        for tensor in (one for one in inputs if one in limits):
            groups.merge(tensor, output)
    shared = {groups.of(output) for output in outputs}
    members = {tensor: groups.of(tensor) for tensor in limits if groups.of(tensor) in shared}
    return {
        tensor: (
            min(limits[other][0] for other, its_group in members.items() if its_group == group),
            max(limits[other][1] for other, its_group in members.items() if its_group == group),
        )
        for tensor, group in members.items()
    }
