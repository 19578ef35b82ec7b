"""The frame: preamble, checksum, manifest."""

from __future__ import annotations

import hashlib
import json
import struct

import pytest

from pocketflow.utils.container import layout
from pocketflow.utils.container.entropy import Stream, compress
from pocketflow.utils.container.errors import UnreadableError
from pocketflow.utils.errors import PocketFlowError

MANIFEST = {'a': [1, 2.5, None], 'b': 'text' * 30}


def frame(text: bytes, coder: int = 0, num_raw: int | None = None) -> bytes:
    return layout.sealed(struct.pack('<BII', coder, len(text) if num_raw is None else num_raw, len(text)) + text)


def test_the_bytes_are_where_the_documentation_says():
    content = layout.assemble(MANIFEST, [Stream('stored', 2, b'xy'), Stream('stored', 1, b'z')])
    assert content[:4] == b'PFZ\x1a' and content.endswith(b'xyz')
    assert struct.unpack('<HHQ', content[4:16]) == (1, 0, len(content))
    assert content[16:48] == hashlib.sha256(content[:16] + content[48:]).digest()
    coder, num_raw, num_stored = struct.unpack('<BII', content[48:57])
    assert num_raw == len(json.dumps(MANIFEST, separators=(',', ':'))) and len(content) == 57 + num_stored + 3
    manifest, body = layout.opened(content)
    assert manifest.value == MANIFEST and bytes(body) == b'xyz'


@pytest.mark.parametrize('num_kept', [0, 3, 4, 15, 47, 48, 56, 60, -1])
def test_a_part_is_refused(num_kept):
    with pytest.raises(UnreadableError, match='it ends after|does not start like|it has .* bytes and should have'):
        layout.opened(layout.assemble(MANIFEST, [])[:num_kept])


def test_more_is_refused():
    content = layout.assemble(MANIFEST, [])
    with pytest.raises(UnreadableError, match=f'it has {len(content) + 1} bytes and should have {len(content)}'):
        layout.opened(content + b'\0')


@pytest.mark.parametrize('place', [6, 16, 47, 48, 60, -1])
def test_a_changed_byte_is_noticed(place):
    content = bytearray(layout.assemble(MANIFEST, []))
    content[place] ^= 1
    with pytest.raises(UnreadableError, match='the checksum is wrong'):
        layout.opened(bytes(content))


def test_another_major_version_is_refused_a_newer_minor_one_is_not():
    body = layout.assemble(MANIFEST, [])[48:]
    with pytest.raises(UnreadableError, match=r'format version 2\.3, this program reads 1\.x; use .* newer'):
        layout.opened(layout.sealed(body, (2, 3)))
    assert layout.opened(layout.sealed(body, (1, 7)))[0].value == MANIFEST


@pytest.mark.parametrize('text', [b'', b'{', b'\xff', b'[' * 10**5, b'{"a":' * 10**5, b'1' * 5000, b'[1]', b'null'])
def test_what_is_no_json_object_is_refused(text):
    with pytest.raises(UnreadableError, match='manifest'):
        layout.opened(frame(text))


def test_sizes_are_checked_before_anything_is_read():
    with pytest.raises(UnreadableError, match='a manifest of 4294967295 bytes'):
        layout.opened(frame(compress(b'{}' * 99).payload, 1, 2**32 - 1))
    with pytest.raises(UnreadableError, match='a manifest of 2 bytes in 2 of 2, by coder 3'):
        layout.opened(frame(b'{}', 3))
    with pytest.raises(UnreadableError, match='in 9 of 1'):
        layout.opened(layout.sealed(struct.pack('<BII', 0, 9, 9) + b'a'))
    with pytest.raises(UnreadableError, match='ends before the manifest'):
        layout.opened(layout.sealed(b'1234'))


def test_what_could_not_be_read_back_is_not_written(monkeypatch):
    monkeypatch.setattr(layout, 'MAX_MANIFEST_BYTES', 50)
    with pytest.raises(PocketFlowError, match='cannot be packed: .* bytes of configuration .*, at most 50'):
        layout.assemble(MANIFEST, [])
    with pytest.raises(PocketFlowError, match='its configuration is no JSON'):
        layout.assemble({'a': object()}, [])
