"""The operations and tensors of a `.tflite` file, read from the file.

The interpreter's list of operations is not used: after a delegate was applied, it also contains the delegate's nodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ai_edge_litert import schema_py_generated as schema

SELECT_OPERATORS = ('CONV_2D', 'GATHER')
"""The operations of a channel select in a file: a 1x1 convolution on feature maps, else a gather."""

FLOAT_TYPES = ('FLOAT16', 'FLOAT32')

_OPERATOR_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}
_TYPE_NAMES = {code: name for name, code in vars(schema.TensorType).items() if name.isupper()}


def operators(content: bytes) -> Counter[str]:
    """The number of operations of each kind in a file, over its subgraphs: `{'CONV_2D': 22, 'ADD': 9}`."""
    return Counter(name for name, _ in _operations(content))


def float_operators(content: bytes) -> Counter[str]:
    """The number of operations of each kind that read or write float values; an int8 file should have none."""
    return Counter(name for name, types in _operations(content) if not types.isdisjoint(FLOAT_TYPES))


def operator_names(model: schema.Model) -> list[str]:
    """The names of a file's operator codes, indexed by `opcode_index`."""
    return [_operator_name(model.OperatorCodes(number)) for number in range(model.OperatorCodesLength())]


def type_name(code: int) -> str:
    """The name of a tensor's type: 'FLOAT32', 'INT8'."""
    return str(_TYPE_NAMES[code])


def _operations(content: bytes) -> Iterator[tuple[str, set[str]]]:
    """The name of each operation in a file, and the types of the tensors that it reads and writes."""
    model = schema.Model.GetRootAs(content, 0)
    names = operator_names(model)
    for graph in (model.Subgraphs(number) for number in range(model.SubgraphsLength())):
        for operator in (graph.Operators(number) for number in range(graph.OperatorsLength())):
            places = [operator.Inputs(number) for number in range(operator.InputsLength())]
            places += [operator.Outputs(number) for number in range(operator.OutputsLength())]
            yield (
                names[operator.OpcodeIndex()],
                {type_name(graph.Tensors(place).Type()) for place in places if place >= 0},
            )


def _operator_name(code: schema.OperatorCode) -> str:
    # Codes up to 127 are in the deprecated field, higher ones in the new field: the larger value is valid.
    name: str = _OPERATOR_NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
    return str(code.CustomCode().decode()) if name == 'CUSTOM' and code.CustomCode() else name


def new_operators(baseline: Counter[str], compressed: Counter[str], num_selects: int = 0) -> Counter[str]:
    """The operations that the compressed file has in addition to those of the uncompressed one, except channel selects.

    Both files must have the same format, because quantization adds operations. Compression should make operations
    fewer or smaller, so the result should be empty.

    Args:
      baseline, compressed: results of `operators` for the two files.
      num_selects: number of channel selects in the compressed model; each may be one of `SELECT_OPERATORS`.
    """
    extra = compressed - baseline
    for name in SELECT_OPERATORS:
        allowed = min(extra[name], num_selects)
        extra[name] -= allowed
        num_selects -= allowed
    return +extra
