"""Which operations a `.tflite` file consists of, read from the file itself.

The interpreter's own list is not used: once a delegate has taken over, it also lists the delegate's nodes.
"""

from __future__ import annotations

from collections import Counter

from ai_edge_litert import schema_py_generated as schema

SELECT_OPERATORS = ('CONV_2D', 'GATHER')
"""What a channel select becomes in the file: a 1x1 convolution on feature maps, else a gather."""

_OPERATOR_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}


def operators(content: bytes) -> Counter[str]:
    """The number of operations of each kind in a file, over its subgraphs: `{'CONV_2D': 22, 'ADD': 9}`."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    names = [_operator_name(code) for code in model.operatorCodes or []]
    return Counter(names[operator.opcodeIndex]
                   for graph in model.subgraphs for operator in graph.operators or [])


def _operator_name(code: schema.OperatorCodeT) -> str:
    # Codes up to 127 stand in the older of the two fields, higher ones in the newer: the larger one counts.
    name = _OPERATOR_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]
    return code.customCode.decode() if name == 'CUSTOM' and code.customCode else name


def new_operators(baseline: Counter[str], compressed: Counter[str], nb_selects: int = 0) -> Counter[str]:
    """The operations that the compressed file has more of than the uncompressed one, but for channel selects.

    Compare files of one format: quantizing adds operations of its own. An empty result is what compression
    owes its user: a file of fewer or smaller operations, and no extra ones.

    Args:
      baseline, compressed: what `operators` says of the two files.
      nb_selects: how many channel selects the compressed model has; each may be one of `SELECT_OPERATORS`.
    """
    extra = compressed - baseline
    for name in SELECT_OPERATORS:
        allowed = min(extra[name], nb_selects)
        extra[name] -= allowed
        nb_selects -= allowed
    return +extra
