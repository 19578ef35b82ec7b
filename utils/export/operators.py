"""Which operations and tensors a `.tflite` file consists of, read from the file itself.

The interpreter's own list is not used: once a delegate has taken over, it also lists the delegate's nodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ai_edge_litert import schema_py_generated as schema

SELECT_OPERATORS = ('CONV_2D', 'GATHER')
"""What a channel select becomes in the file: a 1x1 convolution on feature maps, else a gather."""

FLOAT_TYPES = ('FLOAT16', 'FLOAT32')

_OPERATOR_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}
_TYPE_NAMES = {code: name for name, code in vars(schema.TensorType).items() if name.isupper()}


def operators(content: bytes) -> Counter[str]:
    """The number of operations of each kind in a file, over its subgraphs: `{'CONV_2D': 22, 'ADD': 9}`."""
    return Counter(name for name, _ in _operations(content))


def float_operators(content: bytes) -> Counter[str]:
    """Those of the operations that read or write float values: in an int8 file there should be none."""
    return Counter(name for name, types in _operations(content) if not types.isdisjoint(FLOAT_TYPES))


def operator_names(model: schema.Model) -> list[str]:
    """The names of a file's operations, in the order in which its operations number them."""
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
    # Codes up to 127 stand in the older of the two fields, higher ones in the newer: the larger one counts.
    name: str = _OPERATOR_NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
    return str(code.CustomCode().decode()) if name == 'CUSTOM' and code.CustomCode() else name


def new_operators(baseline: Counter[str], compressed: Counter[str], num_selects: int = 0) -> Counter[str]:
    """The operations that the compressed file has more of than the uncompressed one, but for channel selects.

    Compare files of one format: quantizing adds operations of its own. An empty result is what compression
    owes its user: a file of fewer or smaller operations, and no extra ones.

    Args:
      baseline, compressed: what `operators` says of the two files.
      num_selects: how many channel selects the compressed model has; each may be one of `SELECT_OPERATORS`.
    """
    extra = compressed - baseline
    for name in SELECT_OPERATORS:
        allowed = min(extra[name], num_selects)
        extra[name] -= allowed
        num_selects -= allowed
    return +extra
