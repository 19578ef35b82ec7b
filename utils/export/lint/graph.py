"""The first subgraph of a `.tflite` file as plain values: operations with their tensors and options."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.operators import operator_names, type_name

UNPACKING = ('DEQUANTIZE', 'DENSIFY')
"""Operations whose result is a constant, computed once, if their input is one."""
IDENTIFIER = b'TFL3'
"""Bytes 4 to 8 of every `.tflite` file."""
_DTYPES = {
    'FLOAT32': np.float32,
    'FLOAT16': np.float16,
    'INT8': np.int8,
    'UINT8': np.uint8,
    'INT16': np.int16,
    'INT32': np.int32,
    'INT64': np.int64,
    'BOOL': np.bool_,
}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor of a file.

    Attributes:
      index: its number in the subgraph.
      name: as in the file.
      shape: for one sample, as in the file; empty for a scalar.
      type: 'FLOAT32', 'INT8' and so on.
      content: the bytes of a constant, as stored; None for what is computed at run time.
      open_axes: axes whose length is open (-1 in the file's shape signature).
      scales, zero_points: quantization; empty for tensors that are not quantized.
      is_sparse: whether the content is stored in a sparse format.
      is_unpacked: whether it is computed once from a constant: float16 or sparse weights.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    type: str
    content: bytes | None = dataclasses.field(default=None, repr=False)
    open_axes: tuple[int, ...] = ()
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    is_sparse: bool = False
    is_unpacked: bool = False

    @property
    def is_constant(self) -> bool:
        return self.content is not None or self.is_unpacked

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def values(self) -> np.ndarray | None:
        """The elements of a constant in its shape; None if there are none, or they are stored sparsely or packed."""
        dtype = _DTYPES.get(self.type)
        if self.content is None or dtype is None or self.is_sparse:
            return None
        array: np.ndarray = np.frombuffer(self.content, dtype)
        return array.reshape(self.shape) if array.size == self.size else None


@dataclasses.dataclass(frozen=True)
class Operation:
    """An operation of a file.

    Attributes:
      index: its number in the subgraph, which is also its node number in the interpreter.
      name: 'CONV_2D', or the name of a custom operation.
      version: of the operation, as in the file.
      inputs: its inputs in order; None for one that is left out.
      outputs: its outputs.
      options: its options by their name in the schema: `{'strideW': 2}`.
      is_custom: whether it is a custom operation.
    """

    index: int
    name: str
    version: int
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    is_custom: bool = False

    def input(self, number: int) -> Tensor | None:
        """An input; None if there is none of that number."""
        return self.inputs[number] if -len(self.inputs) <= number < len(self.inputs) else None

    @property
    def runtime_inputs(self) -> list[Tensor]:
        """The inputs that are computed at run time."""
        return [tensor for tensor in self.inputs if tensor is not None and not tensor.is_constant]

    @property
    def place(self) -> str:
        """Where it is, for messages: the name of its first output, without the converter's additions."""
        name = self.outputs[0].name.split(';')[0] if self.outputs else ''
        return name or f'operation {self.index}'


@dataclasses.dataclass(frozen=True)
class FileGraph:
    """The first subgraph of a file; the others are bodies of loops and branches, or further signatures.

    Attributes:
      operations: in the order of execution.
      inputs, outputs: of the file.
      num_other_operations: operations in all other subgraphs.
    """

    operations: tuple[Operation, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    num_other_operations: int = 0

    def producers(self) -> dict[int, Operation]:
        """The operation that computes each tensor, by the number of the tensor."""
        return {tensor.index: operation for operation in self.operations for tensor in operation.outputs}

    def readers(self) -> dict[int, list[Operation]]:
        """The operations that read each tensor, by the number of the tensor."""
        found: dict[int, list[Operation]] = {}
        for operation in self.operations:
            for tensor in operation.inputs:
                if tensor is not None:
                    found.setdefault(tensor.index, []).append(operation)
        return found


def read_graph(content: bytes, name: str = 'the content') -> FileGraph:
    """The first subgraph of a file.

    Args:
      content: the bytes of the file.
      name: of the file, for messages.

    Raises:
      UsageError: the content is no `.tflite` file, or is damaged.
    """
    if content[4:8] != IDENTIFIER:
        raise UsageError(f'{name}: this is no .tflite file (bytes 4 to 8 are {content[4:8]!r}, not {IDENTIFIER!r})')
    try:
        return _graph(schema.Model.GetRootAs(content, 0), len(content))
    except Exception as error:  # offsets of a damaged file point anywhere, which fails in many ways
        raise UsageError(
            f'{name}: this .tflite file is damaged or cut off, it cannot be read ({type(error).__name__})'
        ) from error


def _graph(model: schema.Model, num_bytes: int) -> FileGraph:
    numbers = _counted(model.SubgraphsLength(), num_bytes)
    first = model.Subgraphs(numbers[0])
    tensors = [_tensor(model, first, number) for number in _counted(first.TensorsLength(), num_bytes)]
    names, codes = operator_names(model), range(model.OperatorCodesLength())
    versions = [model.OperatorCodes(number).Version() for number in codes]
    operations = []
    for number in _counted(first.OperatorsLength(), num_bytes):
        operator = first.Operators(number)
        code = operator.OpcodeIndex()
        results = [*map(operator.Outputs, range(operator.OutputsLength()))]
        if names[code] in UNPACKING and tensors[operator.Inputs(0)].is_constant:
            tensors[results[0]] = dataclasses.replace(tensors[results[0]], is_unpacked=True)
        operations.append(
            Operation(
                number,
                names[code],
                versions[code],
                tuple(
                    None if place < 0 else tensors[place]
                    for place in map(operator.Inputs, _counted(operator.InputsLength(), num_bytes))
                ),
                tuple(tensors[place] for place in results),
                _options(operator),
                bool(model.OperatorCodes(code).CustomCode()),
            )
        )
    return FileGraph(
        tuple(operations),
        tuple(tensors[first.Inputs(number)] for number in range(first.InputsLength())),
        tuple(tensors[first.Outputs(number)] for number in range(first.OutputsLength())),
        sum(model.Subgraphs(number).OperatorsLength() for number in numbers[1:]),
    )


def _counted(length: int, num_bytes: int) -> range:
    """The numbers of a list's entries; raises a `ValueError` for more than the file has bytes for."""
    if not 0 <= length <= num_bytes:
        raise ValueError(f'a list of {length} entries in {num_bytes} bytes')
    return range(length)


def _tensor(model: schema.Model, graph: schema.SubGraph, number: int) -> Tensor:
    tensor = graph.Tensors(number)
    quantization, buffer = tensor.Quantization(), model.Buffers(tensor.Buffer())
    signature = [tensor.ShapeSignature(axis) for axis in range(tensor.ShapeSignatureLength())]
    return Tensor(
        number,
        (tensor.Name() or b'').decode(errors='replace'),
        tuple(int(size) for size in _array(tensor.ShapeLength(), tensor.ShapeAsNumpy)),
        type_name(tensor.Type()),
        buffer.DataAsNumpy().tobytes() if buffer.DataLength() else None,
        tuple(axis for axis, size in enumerate(signature) if size < 0),
        tuple(map(float, _array(quantization.ScaleLength(), quantization.ScaleAsNumpy))) if quantization else (),
        tuple(map(int, _array(quantization.ZeroPointLength(), quantization.ZeroPointAsNumpy))) if quantization else (),
        tensor.Sparsity() is not None,
    )


def _array(length: int, read: Any) -> Sequence[Any]:
    """A vector of a flatbuffer, which is 0 instead of an array if it is missing."""
    values: Sequence[Any] = read() if length else ()
    return values


def _options(operator: schema.Operator) -> dict[str, Any]:
    table = operator.BuiltinOptions()
    if table is None:
        return {}
    return dict(vars(schema.BuiltinOptionsCreator(operator.BuiltinOptionsType(), table)))
