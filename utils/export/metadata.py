"""The description of a `.tflite` file in TensorFlow Lite's form, as Android's Task library and MediaPipe read it.

It is a flatbuffer of the published schema (metadata_schema.fbs, version 1.0.0 of its reader suffices) in the buffer
`TFLITE_METADATA` of the file; files that it mentions, such as the labels, are in a zip archive behind the flatbuffer.
The libraries that write this form (tflite-support, mediapipe) require an old protobuf, or OpenCV.
"""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from pocketflow.utils.export.attached import with_buffer

BUFFER_NAME = 'TFLITE_METADATA'
IDENTIFIER = b'M001'
MIN_PARSER_VERSION = '1.0.0'
LABELS, FIGURES = 'labels.txt', 'figures.json'
DATE = (1980, 1, 1, 0, 0, 0)
"""Of the files in the archive: equal exports give equal bytes."""

RGB, GRAYSCALE = 1, 2
_AXIS_LABELS, _DESCRIPTIONS = 2, 1
_FEATURE, _IMAGE = 1, 2
_NORMALIZATION = 1


@dataclasses.dataclass(frozen=True)
class Image:
    """An input that is an image.

    Attributes:
      num_channels: 1 or 3 (red, green, blue).
      mean, std: per channel or one for all, if values are to be normalised as `(pixel - mean) / std`; none if that is
        not how they are made.
    """

    num_channels: int
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An input or output.

    Attributes:
      name: what it is: 'image', 'probability'.
      description: a sentence.
      image: for an input that is an image.
      has_labels: whether its last axis has the labels of the file.
      limits: least and greatest value, if they are known.
    """

    name: str
    description: str = ''
    image: Image | None = None
    has_labels: bool = False
    limits: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class Metadata:
    """Description of a file; entries that are empty are left out.

    Attributes:
      inputs, outputs: by their names in the file's signature.
      labels: names of the classes in the order of the outputs.
      figures: what was measured on the file; JSON.
    """

    name: str = ''
    description: str = ''
    version: str = ''
    author: str = ''
    license: str = ''
    inputs: Mapping[str, Tensor] = dataclasses.field(default_factory=dict)
    outputs: Mapping[str, Tensor] = dataclasses.field(default_factory=dict)
    labels: Sequence[str] = ()
    figures: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def with_metadata(content: bytes, metadata: Metadata) -> bytes:
    """The same file with its description; operations, tensors and weights stay as they are, byte for byte."""
    inputs, outputs = signature_names(content)
    described = dataclasses.replace(
        metadata,
        inputs={name: metadata.inputs.get(name, Tensor(name)) for name in inputs},
        outputs={name: metadata.outputs.get(name, Tensor(name)) for name in outputs},
    )
    result = io.BytesIO()
    result.write(with_buffer(content, BUFFER_NAME, encoded(described)))
    files = {}
    if metadata.labels:
        files[LABELS] = '\n'.join(metadata.labels) + '\n'
    if metadata.figures:
        files[FIGURES] = json.dumps(metadata.figures, indent=2) + '\n'
    if files:
        with zipfile.ZipFile(result, 'a') as archive:
            for name, text in files.items():
                archive.writestr(zipfile.ZipInfo(name, DATE), text)
    return result.getvalue()


def signature_names(content: bytes) -> tuple[list[str], list[str]]:
    """Names of the inputs and outputs in the order of the file's tensors: those of its signature, if it has one."""
    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    names: dict[int, str] = {}
    if model.SignatureDefsLength() == 1:
        signature = model.SignatureDefs(0)
        for maps, count in (
            (signature.Inputs, signature.InputsLength()),
            (signature.Outputs, signature.OutputsLength()),
        ):
            names |= {(item := maps(number)).TensorIndex(): item.Name().decode() for number in range(count)}

    def name(place: int) -> str:
        return names.get(place) or str(graph.Tensors(place).Name().decode())

    return (
        [name(graph.Inputs(number)) for number in range(graph.InputsLength())],
        [name(graph.Outputs(number)) for number in range(graph.OutputsLength())],
    )


def encoded(metadata: Metadata) -> bytes:
    """The flatbuffer, a `ModelMetadata`."""
    writer = _Writer()
    files = writer.vector([writer.file(FIGURES, 'Measured on this file.', _DESCRIPTIONS)]) if metadata.figures else None
    graph = writer.table(
        {
            2: writer.vector([_tensor(writer, tensor) for tensor in metadata.inputs.values()]),
            3: writer.vector([_tensor(writer, tensor) for tensor in metadata.outputs.values()]),
        }
    )
    root = writer.table(
        {
            0: writer.text(metadata.name),
            1: writer.text(metadata.description),
            2: writer.text(metadata.version),
            3: writer.vector([graph]),
            4: writer.text(metadata.author),
            5: writer.text(metadata.license),
            6: files,
            7: writer.text(MIN_PARSER_VERSION),
        }
    )
    writer.builder.Finish(root, file_identifier=IDENTIFIER)
    return bytes(writer.builder.Output())


def _tensor(writer: _Writer, tensor: Tensor) -> int:
    """A `TensorMetadata`."""
    units, image = None, tensor.image
    if image is None:
        content = writer.union(_FEATURE, writer.table({}))
    else:
        color = GRAYSCALE if image.num_channels == 1 else RGB
        content = writer.union(_IMAGE, writer.table({}, numbers={0: color}))
        if image.mean:
            options = writer.table({0: writer.floats(image.mean), 1: writer.floats(image.std)})
            units = writer.vector([writer.union(_NORMALIZATION, options)])
    stats = None
    if tensor.limits is not None:
        low, high = tensor.limits
        stats = writer.table({0: writer.floats([high]), 1: writer.floats([low])})
    files = None
    if tensor.has_labels:
        files = writer.vector([writer.file(LABELS, 'Names of the classes, one a line.', _AXIS_LABELS)])
    return writer.table(
        {0: writer.text(tensor.name), 1: writer.text(tensor.description), 3: content, 4: units, 5: stats, 6: files}
    )


class _Writer:
    """Writes tables of the schema; fields are given by their numbers, those that are None are left out."""

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(1024)

    def text(self, text: str) -> int | None:
        return self.builder.CreateString(text) if text else None

    def table(self, fields: Mapping[int, int | None], numbers: Mapping[int, int] | None = None) -> int:
        """A table.

        Args:
          fields: number of the field -> offset of its value.
          numbers: number of the field -> its value, one byte.
        """
        numbers = numbers or {}
        self.builder.StartObject(max((*fields, *numbers), default=-1) + 1)
        for field, offset in fields.items():
            if offset is not None:
                self.builder.PrependUOffsetTRelativeSlot(field, offset, 0)
        for field, value in numbers.items():
            self.builder.PrependUint8Slot(field, value, 0)
        return int(self.builder.EndObject())

    def union(self, kind: int, value: int) -> int:
        """A table whose only fields are a union: the number of its type, and the value."""
        return self.table({1: value}, numbers={0: kind})

    def file(self, name: str, description: str, kind: int) -> int:
        """An `AssociatedFile`."""
        return self.table({0: self.text(name), 1: self.text(description)}, numbers={2: kind})

    def vector(self, offsets: Sequence[int]) -> int:
        return self._vector(4, offsets, self.builder.PrependUOffsetTRelative)

    def floats(self, values: Sequence[float]) -> int:
        return self._vector(4, values, self.builder.PrependFloat32)

    def _vector(self, num_bytes: int, values: Sequence[Any], prepend: Callable[[Any], None]) -> int:
        self.builder.StartVector(num_bytes, len(values), num_bytes)
        for value in reversed(values):
            prepend(value)
        return int(self.builder.EndVector())
