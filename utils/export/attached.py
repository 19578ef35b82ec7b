"""Adds a named buffer to a `.tflite` file without writing the file anew.

To unpack a file into objects and to pack these again would move all weights, which the converter aligns to 16 bytes for
the kernels that read them in place, and the packer of Python does not. A flatbuffer is written from its end to its
beginning, and refers forward only, so that a new root can be put in front of an existing file: every byte of the old
one stays, at a multiple of 16 bytes from where it was.
"""

from __future__ import annotations

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

ALIGNMENT = 16
IDENTIFIER = b'TFL3'
_VERSION, _BUFFERS, _METADATA, _NUM_FIELDS = 0, 4, 6, 8
"""Numbers of the fields of `Model` in the schema."""


def with_buffer(content: bytes, name: str, data: bytes) -> bytes:
    """The file with a buffer of this name in `Model.metadata`, in addition to those that it has.

    Args:
      content: a `.tflite` file; one whose weights lie outside the flatbuffer (above 2 GB) is returned as it is.
      name: of the buffer.
      data: its content.
    """
    content += bytes(-len(content) % ALIGNMENT)
    model = schema.Model.GetRootAs(content, 0)
    buffers = [model.Buffers(number) for number in range(model.BuffersLength())]
    if any(buffer.Offset() > 1 for buffer in buffers):
        return content
    builder = flatbuffers.Builder(len(content) + len(data) + 8 * len(buffers) + 4096)
    builder.minalign = ALIGNMENT
    builder.head = len(builder.Bytes) - len(content)
    builder.Bytes[builder.head :] = content

    def offset(position: int) -> int:
        """The builder's offset, which counts from the end, of what is at a position of the old file."""
        return len(content) - position

    entries = [model.Metadata(number) for number in range(model.MetadataLength())]
    buffer = _buffer(builder, data)
    metadata = _vector(builder, [*(offset(entry._tab.Pos) for entry in entries), _entry(builder, name, len(buffers))])
    places = _vector(builder, [*(offset(old._tab.Pos) for old in buffers), buffer])
    builder.StartObject(_NUM_FIELDS)
    for field in range(_NUM_FIELDS):
        place = model._tab.Offset(4 + 2 * field)
        if field == _BUFFERS:
            builder.PrependUOffsetTRelativeSlot(field, places, 0)
        elif field == _METADATA:
            builder.PrependUOffsetTRelativeSlot(field, metadata, 0)
        elif field == _VERSION:
            builder.PrependUint32Slot(field, model.Version(), 0)
        elif place:
            builder.PrependUOffsetTRelativeSlot(field, offset(model._tab.Indirect(model._tab.Pos + place)), 0)
    builder.Finish(builder.EndObject(), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def _buffer(builder: flatbuffers.Builder, data: bytes) -> int:
    builder.StartVector(1, len(data), ALIGNMENT)
    builder.head -= len(data)
    builder.Bytes[builder.head : builder.head + len(data)] = data
    vector = builder.EndVector()
    builder.StartObject(3)
    builder.PrependUOffsetTRelativeSlot(0, vector, 0)
    return int(builder.EndObject())


def _entry(builder: flatbuffers.Builder, name: str, buffer: int) -> int:
    """A `Metadata`: a name, and the number of its buffer."""
    text = builder.CreateString(name)
    builder.StartObject(2)
    builder.PrependUOffsetTRelativeSlot(0, text, 0)
    builder.PrependUint32Slot(1, buffer, 0)
    return int(builder.EndObject())


def _vector(builder: flatbuffers.Builder, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())
