"""The messages of the Open Inference Protocol over gRPC, described here and made by protobuf at run time.

The fields are those of the protocol's published definition (package `inference`, `GRPCInferenceService`): the messages
of readiness and inference, without metadata and model repository.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = 'inference'
SERVICE = f'/{PACKAGE}.GRPCInferenceService'
_TYPES = {
    'double': 1,
    'float': 2,
    'int64': 3,
    'uint64': 4,
    'int32': 5,
    'bool': 8,
    'string': 9,
    'bytes': 12,
    'uint32': 13,
}
_MESSAGE, _OPTIONAL, _REPEATED = 11, 1, 3

# Message -> its fields in order of their numbers from 1 on: name, type, with a star if repeated; `map` has parameters.
_FIELDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    'ServerReadyRequest': (),
    'ServerReadyResponse': (('ready', 'bool'),),
    'ModelReadyRequest': (('name', 'string'), ('version', 'string')),
    'ModelReadyResponse': (('ready', 'bool'),),
    'InferParameter': (('bool_param', 'bool'), ('int64_param', 'int64'), ('string_param', 'string')),
    'InferTensorContents': (
        ('bool_contents', 'bool*'),
        ('int_contents', 'int32*'),
        ('int64_contents', 'int64*'),
        ('uint_contents', 'uint32*'),
        ('uint64_contents', 'uint64*'),
        ('fp32_contents', 'float*'),
        ('fp64_contents', 'double*'),
        ('bytes_contents', 'bytes*'),
    ),
    'ModelInferRequest': (
        ('model_name', 'string'),
        ('model_version', 'string'),
        ('id', 'string'),
        ('parameters', 'map'),
        ('inputs', 'ModelInferRequest.InferInputTensor*'),
        ('outputs', 'ModelInferRequest.InferRequestedOutputTensor*'),
        ('raw_input_contents', 'bytes*'),
    ),
    'ModelInferRequest.InferInputTensor': (
        ('name', 'string'),
        ('datatype', 'string'),
        ('shape', 'int64*'),
        ('parameters', 'map'),
        ('contents', 'InferTensorContents'),
    ),
    'ModelInferRequest.InferRequestedOutputTensor': (('name', 'string'), ('parameters', 'map')),
    'ModelInferResponse': (
        ('model_name', 'string'),
        ('model_version', 'string'),
        ('id', 'string'),
        ('parameters', 'map'),
        ('outputs', 'ModelInferResponse.InferOutputTensor*'),
        ('raw_output_contents', 'bytes*'),
    ),
    'ModelInferResponse.InferOutputTensor': (
        ('name', 'string'),
        ('datatype', 'string'),
        ('shape', 'int64*'),
        ('parameters', 'map'),
        ('contents', 'InferTensorContents'),
    ),
}
_ONE_OF = {'InferParameter': 'parameter_choice'}
"""Messages of whose fields one is set."""
CONTENTS = {
    'BOOL': 'bool_contents',
    **{f'UINT{bits}': 'uint_contents' for bits in (8, 16, 32)},
    'UINT64': 'uint64_contents',
    **{f'INT{bits}': 'int_contents' for bits in (8, 16, 32)},
    'INT64': 'int64_contents',
    'FP32': 'fp32_contents',
    'FP64': 'fp64_contents',
    'BYTES': 'bytes_contents',
}
"""Datatype -> the field with its values."""
Message: TypeAlias = Any
"""A protobuf message of a class that is made at run time."""


def message(kind: str, /, **fields: Any) -> Message:
    """A message with these fields."""
    return message_class(kind)(**fields)


@functools.cache
def message_class(name: str) -> Any:
    """The class of a message, by its name within the package."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f'{PACKAGE}.{name}'))


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    """A pool of its own: other packages may have registered the protocol in the default one."""
    file = descriptor_pb2.FileDescriptorProto(name='pocketflow_inference.proto', package=PACKAGE, syntax='proto3')
    described: dict[str, Any] = {}
    for name, fields in _FIELDS.items():
        outer, _, own = name.rpartition('.')
        described[name] = (described[outer].nested_type if outer else file.message_type).add(name=own)
        if name in _ONE_OF:
            described[name].oneof_decl.add(name=_ONE_OF[name])
        for number, (field, kind) in enumerate(fields, start=1):
            _add_field(described[name], name, field, number, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _add_field(target: Any, name: str, field: str, number: int, kind: str) -> None:
    if kind == 'map':  # on the wire, a repeated message of key and value
        entry = target.nested_type.add(name='ParametersEntry')
        entry.options.map_entry = True
        _add_field(entry, '', 'key', 1, 'string')
        _add_field(entry, '', 'value', 2, 'InferParameter')
        kind = f'{name}.ParametersEntry*'
    label, kind = (_REPEATED if kind.endswith('*') else _OPTIONAL), kind.rstrip('*')
    added = target.field.add(name=field, number=number, label=label, type=_TYPES.get(kind, _MESSAGE))
    if kind not in _TYPES:
        added.type_name = f'.{PACKAGE}.{kind}'
    if name in _ONE_OF:
        added.oneof_index = 0


def numbers(output: Message, raw: bytes | None) -> np.ndarray:
    """The array of an output in a response.

    Args:
      output: an `InferOutputTensor`.
      raw: its entry in `raw_output_contents`, if these are used.
    """
    if output.datatype == 'BYTES':
        return np.array([item.decode() for item in (_texts(raw) if raw else output.contents.bytes_contents)])
    dtype = numpy_type(output.datatype)
    values = np.frombuffer(raw, dtype) if raw is not None else getattr(output.contents, CONTENTS[output.datatype])
    return np.asarray(values, dtype).reshape(tuple(output.shape))


def numpy_type(datatype: str) -> np.dtype[Any]:
    """The NumPy type of a datatype of numbers; little-endian, as raw contents are."""
    name = datatype.lower().replace('fp', 'float')
    return np.dtype(name).newbyteorder('<')


def _texts(raw: bytes) -> list[bytes]:
    """The texts in raw contents: each follows its length, four bytes."""
    found, place = [], 0
    while place < len(raw):
        size = int.from_bytes(raw[place : place + 4], 'little')
        found.append(raw[place + 4 : place + 4 + size])
        place += 4 + size
    return found
