"""Descriptions in files, read back field by field from the schema's numbers."""

from __future__ import annotations

import io
import json
import zipfile

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import number_types as types

from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.metadata import Image, Metadata, Tensor, signature_names, with_metadata
from pocketflow.utils.export.runner import LiteRtRunner

METADATA = Metadata(
    name='net',
    description='ä test',
    version='2',
    author='me',
    license='MIT',
    inputs={'images': Tensor('image', 'Pixels.', Image(1, (4.5,), (6.0,)))},
    outputs={'logits': Tensor('probability', has_labels=True, limits=(0.0, 1.0))},
    labels=['no', 'yes, surely'],
    figures={'metrics': {'accuracy': 0.5}},
)


class Table:
    """A table of a flatbuffer, whose fields are read by number."""

    def __init__(self, data: bytes, position: int):
        self._table = flatbuffers.table.Table(data, position)

    @classmethod
    def root(cls, data: bytes) -> Table:
        return cls(data, flatbuffers.encode.Get(flatbuffers.packer.uoffset, data, 0))

    def _place(self, field: int) -> int | None:
        place = self._table.Offset(4 + 2 * field)
        return place + self._table.Pos if place else None

    def text(self, field: int) -> str | None:
        place = self._place(field)
        return None if place is None else self._table.String(place).decode()

    def byte(self, field: int) -> int:
        return self._table.Get(types.Uint8Flags, self._place(field))

    def table(self, field: int) -> Table:
        return Table(self._table.Bytes, self._table.Indirect(self._place(field)))

    def tables(self, field: int) -> list[Table]:
        if self._place(field) is None:
            return []
        field = self._place(field) - self._table.Pos
        start, count = self._table.Vector(field), self._table.VectorLen(field)
        return [Table(self._table.Bytes, self._table.Indirect(start + 4 * number)) for number in range(count)]

    def floats(self, field: int) -> list[float]:
        return self._table.GetVectorAsNumpy(types.Float32Flags, self._place(field) - self._table.Pos).tolist()


@pytest.fixture(scope='module')
def content(net) -> bytes:
    return convert(net, 'float32')


@pytest.fixture(scope='module')
def described(content) -> bytes:
    names = signature_names(content)
    outputs = {names[1][0]: METADATA.outputs['logits']}
    return with_metadata(content, Metadata(**{**vars(METADATA), 'outputs': outputs}))


def metadata_of(content: bytes) -> bytes:
    model = schema.Model.GetRootAs(content, 0)
    entries = [model.Metadata(number) for number in range(model.MetadataLength())]
    (found,) = [entry for entry in entries if entry.Name() == b'TFLITE_METADATA']
    return model.Buffers(found.Buffer()).DataAsNumpy().tobytes()


def test_the_file_computes_what_it_did(content, described, images):
    np.testing.assert_array_equal(LiteRtRunner(described).predict(images), LiteRtRunner(content).predict(images))
    assert signature_names(described) == signature_names(content)


def test_fields(described):
    data = metadata_of(described)
    assert data[4:8] == b'M001'
    root = Table.root(data)
    assert [root.text(field) for field in (0, 1, 2, 4, 5, 7)] == ['net', 'ä test', '2', 'me', 'MIT', '1.0.0']
    assert [(file.text(0), file.byte(2)) for file in root.tables(6)] == [('figures.json', 1)]
    (graph,) = root.tables(3)
    (source,), (result,) = graph.tables(2), graph.tables(3)
    assert (source.text(0), source.text(1), result.text(0)) == ('image', 'Pixels.', 'probability')
    content = source.table(3)
    assert content.byte(0) == 2 and content.table(1).byte(0) == 2  # ImageProperties, GRAYSCALE
    (unit,) = source.tables(4)
    assert unit.byte(0) == 1  # NormalizationOptions
    assert (unit.table(1).floats(0), unit.table(1).floats(1)) == ([4.5], [6.0])
    assert (result.table(5).floats(0), result.table(5).floats(1)) == ([1.0], [0.0])  # max, min
    assert [(file.text(0), file.byte(2)) for file in result.tables(6)] == [('labels.txt', 2)]
    assert result.table(3).byte(0) == 1 and not source.tables(6)  # FeatureProperties


def test_files_behind_it(described):
    with zipfile.ZipFile(io.BytesIO(described)) as archive:
        assert archive.read('labels.txt') == b'no\nyes, surely\n'
        assert json.loads(archive.read('figures.json')) == {'metrics': {'accuracy': 0.5}}


def test_equal_descriptions_are_equal_bytes_and_empty_ones_name_the_tensors(content, described):
    assert described == with_metadata(
        content, Metadata(**{**vars(METADATA), 'outputs': {signature_names(content)[1][0]: METADATA.outputs['logits']}})
    )
    bare = with_metadata(content, Metadata())
    assert not zipfile.is_zipfile(io.BytesIO(bare))
    (graph,) = Table.root(metadata_of(bare)).tables(3)
    assert [tensor.text(0) for field in (2, 3) for tensor in graph.tables(field)] == [
        name for names in signature_names(content) for name in names
    ]
