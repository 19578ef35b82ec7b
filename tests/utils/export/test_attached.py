"""Buffers that are added to a file; the weights stay where they are."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from pocketflow.utils.export.attached import ALIGNMENT, with_buffer
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.operators import operators
from pocketflow.utils.export.runner import LiteRtRunner


@pytest.fixture(scope='module')
def content(net) -> bytes:
    return convert(net, 'float32')


def entries(content: bytes) -> dict[str, bytes]:
    model = schema.Model.GetRootAs(content, 0)
    found = [model.Metadata(number) for number in range(model.MetadataLength())]
    return {entry.Name().decode(): model.Buffers(entry.Buffer()).DataAsNumpy().tobytes() for entry in found}


@pytest.mark.parametrize('size', [1, 16, 1000])
def test_every_byte_stays_and_is_aligned_as_before(size, content, images):
    new = with_buffer(content, 'NOTE', bytes(range(256))[:size] * (1 + size // 256))
    place = new.index(content)
    assert place % ALIGNMENT == 0 and len(new) - place - len(content) < ALIGNMENT
    assert operators(new) == operators(content)
    np.testing.assert_array_equal(LiteRtRunner(new).predict(images), LiteRtRunner(content).predict(images))


def test_buffers_are_added_to_those_that_are_there(content):
    first = with_buffer(content, 'NOTE', b'one')
    assert entries(first) == entries(content) | {'NOTE': b'one'}
    second = with_buffer(first, 'OTHER', b'two')
    assert entries(second) == entries(first) | {'OTHER': b'two'}
    model, old = (schema.Model.GetRootAs(one, 0) for one in (second, content))
    assert model.Version() == old.Version() and model.Description() == old.Description()
    assert model.SignatureDefsLength() == old.SignatureDefsLength() == 1
    assert model.BuffersLength() == old.BuffersLength() + 2
