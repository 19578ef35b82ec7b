"""The weights in a `.tflite` file, identified by the names of their Keras layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pocketflow.utils.export.operators import operator_names, type_name
from pocketflow.utils.quantization.bit_packing import pack_codes, unpack_codes

CHANNEL_AXES = {'CONV_2D': 0, 'DEPTHWISE_CONV_2D': 3, 'FULLY_CONNECTED': 0}
"""Operations with weights -> the axis of output channels of the weights."""

_DTYPES = {'FLOAT32': np.float32, 'INT8': np.int8, 'INT4': np.uint8}


@dataclasses.dataclass(frozen=True)
class WeightedOperator:
    """An operation with constant weights.

    Attributes:
      kind: a name in `CHANNEL_AXES`.
      name: the name of its output, which is unique in the file.
      layers: the Keras layers that it computes, including a folded batch norm and activation.
      tensor: index of its weights among the tensors of the file.
    """

    kind: str
    name: str
    layers: frozenset[str]
    tensor: int


def layer_names(tensor_name: str) -> frozenset[str]:
    """The layers in a tensor's name: {'bn', 'conv'} in 'net/bn/FusedBatchNormV3;net/conv/Conv2D1'.

    The first part of each path is the model and the last an operation; neither is the name of a layer.
    """
    return frozenset(part for path in tensor_name.split(';') for part in path.split('/')[1:-1])


class Weights:
    """Reads the weights of a file, and overwrites them in place if the file is a `bytearray`."""

    def __init__(self, content: bytes | bytearray):
        self._content = content
        self._model = schema.Model.GetRootAs(content, 0)
        self._graph = self._model.Subgraphs(0)

    def operators(self) -> list[WeightedOperator]:
        """All operations with constant weights, in the order of the file."""
        return list(self._operators())

    def type_of(self, operator: WeightedOperator) -> str:
        """'FLOAT32', 'INT8' or 'INT4'."""
        return type_name(self._graph.Tensors(operator.tensor).Type())

    def read(self, operator: WeightedOperator) -> np.ndarray:
        """The float32 values, of the shape in the file: codes times the scales of their channels."""
        tensor = self._graph.Tensors(operator.tensor)
        if self.type_of(operator) == 'FLOAT32':
            return np.array(self._data(operator).reshape(tuple(tensor.ShapeAsNumpy().tolist())))
        axis, scales = tensor.Quantization().QuantizedDimension(), np.asarray(tensor.Quantization().ScaleAsNumpy())
        channels_last = np.moveaxis(self.codes(operator).astype(np.float32), axis, -1)
        return np.moveaxis(channels_last * scales, -1, axis)

    def codes(self, operator: WeightedOperator) -> np.ndarray:
        """The codes (int8, of the shape in the file) of integer weights."""
        shape, data = tuple(self._graph.Tensors(operator.tensor).ShapeAsNumpy().tolist()), self._data(operator)
        codes = unpack_nibbles(data, int(np.prod(shape))) if self.type_of(operator) == 'INT4' else data
        return np.array(codes.reshape(shape))

    def write(self, operator: WeightedOperator, codes: np.ndarray, scales: np.ndarray) -> None:
        """Replaces the codes (int8, of the shape in the file) and scales [channels] of integer weights."""
        flat = codes.reshape(-1)
        self._data(operator)[:] = pack_nibbles(flat) if self.type_of(operator) == 'INT4' else flat
        self._graph.Tensors(operator.tensor).Quantization().ScaleAsNumpy()[:] = scales

    def _operators(self) -> Iterator[WeightedOperator]:
        kinds = operator_names(self._model)
        operators = [self._graph.Operators(number) for number in range(self._graph.OperatorsLength())]
        stored = {
            operator.Outputs(0): operator.Inputs(0)
            for operator in operators
            if kinds[operator.OpcodeIndex()] == 'DEQUANTIZE'
        }
        for operator in operators:
            kind = kinds[operator.OpcodeIndex()]
            if kind in CHANNEL_AXES:
                tensor = stored.get(operator.Inputs(1), operator.Inputs(1))
                if self._buffer(tensor).size:
                    name = self._name(operator.Outputs(0))
                    # The output of the network has the name of the signature's output instead of the layer's.
                    layers = layer_names(name) or layer_names(self._name(tensor))
                    yield WeightedOperator(kind, name, layers, tensor)

    def _name(self, tensor: int) -> str:
        return str(self._graph.Tensors(tensor).Name().decode())

    def _data(self, operator: WeightedOperator) -> np.ndarray:
        return self._buffer(operator.tensor).view(_DTYPES[self.type_of(operator)])

    def _buffer(self, tensor: int) -> np.ndarray:
        buffer = self._model.Buffers(self._graph.Tensors(tensor).Buffer())
        if buffer.Offset() > 1:  # large buffers are stored behind the flatbuffer
            return np.frombuffer(self._content, np.uint8, buffer.Size(), buffer.Offset())
        return buffer.DataAsNumpy() if buffer.DataLength() else np.empty(0, np.uint8)


def pack_nibbles(codes: np.ndarray) -> np.ndarray:
    """Codes -8..7 [n] as bytes [ceil(n / 2)], the first of each two in the low half."""
    return np.frombuffer(pack_codes(codes.astype(np.uint8) & 15, 4), np.uint8)


def unpack_nibbles(data: np.ndarray, size: int) -> np.ndarray:
    """The inverse of `pack_nibbles`: int8 codes [size]."""
    low_halves = unpack_codes(data.tobytes(), size, 4).astype(np.uint8)
    return (low_halves << 4).view(np.int8) >> 4  # the shift of a signed number extends its sign
