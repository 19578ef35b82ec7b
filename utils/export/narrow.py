"""Stores the int8 weights of a file in 4 bits where their codes fit: half the bytes, the same weights."""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pocketflow.utils.export.weights import Weights, pack_nibbles

LARGEST_CODE = 7
"""Of a symmetric grid of 4 bits."""
IDENTIFIER = b'TFL3'


def with_int4_weights(content: bytes) -> bytes:
    """The same network, with the weights that have codes of at most 4 bits stored as int4.

    LiteRT unpacks such weights before it multiplies. Its kernels for them round sums in another way than those for int8
    weights, so that single values differ by one step. For float files there is `mixed_precision`.

    Args:
      content: an int8 file. Its weights need not be on grids of 4 bits: those that are not stay as they are.
    """
    weights = Weights(content)
    narrow = {
        operator.tensor
        for operator in weights.operators()
        if weights.type_of(operator) == 'INT8' and np.abs(weights.codes(operator)).max(initial=0) <= LARGEST_CODE
    }
    if not narrow:
        return content
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    packed: set[int] = set()
    graph = model.subgraphs[0]
    for number in sorted(narrow):
        tensor = graph.tensors[number]
        tensor.type = schema.TensorType.INT4
        if tensor.buffer not in packed:  # equal weights may share a buffer
            packed.add(tensor.buffer)
            buffer = model.buffers[tensor.buffer]
            buffer.data = pack_nibbles(np.asarray(buffer.data, np.uint8).view(np.int8))
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())
