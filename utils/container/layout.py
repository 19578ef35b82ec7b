"""Layout of a container: preamble, checksum, manifest, and the concatenated coded streams."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping
from typing import Any

from pocketflow.utils.container.entropy import CODERS, Stream, compress, decompress
from pocketflow.utils.container.errors import UnreadableError
from pocketflow.utils.container.fields import Fields
from pocketflow.utils.container.limits import MAX_BYTES, MAX_MANIFEST_BYTES
from pocketflow.utils.errors import PocketFlowError

MAGIC = b'PFZ\x1a'
VERSION = (1, 0)
_PREAMBLE = struct.Struct('<4sHHQ')
_DIGEST_SIZE = hashlib.sha256().digest_size
_MANIFEST = struct.Struct('<BII')
_START = _PREAMBLE.size + _DIGEST_SIZE
_CODER_NUMBERS = tuple(CODERS)


def assemble(manifest: Mapping[str, Any], streams: Iterable[Stream]) -> bytes:
    """Assembles the bytes of a container.

    Raises:
      PocketFlowError: it would exceed a limit of reading.
    """
    try:
        text = json.dumps(manifest, separators=(',', ':')).encode()
    except (TypeError, ValueError) as error:
        raise PocketFlowError(f'the model cannot be packed: its configuration is no JSON ({error})') from error
    coded = compress(text)
    head = _MANIFEST.pack(_CODER_NUMBERS.index(coded.coder), coded.num_raw, len(coded.payload))
    body = b''.join([head, coded.payload, *(stream.payload for stream in streams)])
    if len(text) > MAX_MANIFEST_BYTES or _START + len(body) > MAX_BYTES:
        raise PocketFlowError(
            f'the model cannot be packed: {len(text)} bytes of configuration and {len(body)} in all,'
            f' at most {MAX_MANIFEST_BYTES} and {MAX_BYTES} are accepted'
        )
    return sealed(body)


def sealed(body: bytes, version: tuple[int, int] = VERSION) -> bytes:
    """Prepends the preamble and the checksum to `body`."""
    preamble = _PREAMBLE.pack(MAGIC, *version, _START + len(body))
    return preamble + _digest(preamble, body) + body


def opened(content: bytes) -> tuple[Fields, memoryview]:
    """Verifies the checksum, then returns the manifest and the bytes after it.

    Raises:
      UnreadableError: wrong magic, version, length or checksum, or no manifest.
    """
    body = _checked_body(memoryview(content))
    if len(body) < _MANIFEST.size:
        raise UnreadableError('it ends before the manifest')
    coder, num_raw, num_stored = _MANIFEST.unpack(body[: _MANIFEST.size])
    rest = body[_MANIFEST.size :]
    if coder >= len(_CODER_NUMBERS) or num_raw > MAX_MANIFEST_BYTES or num_stored > len(rest):
        raise UnreadableError(f'a manifest of {num_raw} bytes in {num_stored} of {len(rest)}, by coder {coder}')
    text = decompress(Stream(_CODER_NUMBERS[coder], num_raw, rest[:num_stored]))
    return Fields(_parsed(text), 'the manifest'), rest[num_stored:]


def _checked_body(content: memoryview) -> memoryview:
    if bytes(content[: len(MAGIC)]) != MAGIC:
        raise UnreadableError('it does not start like one')
    if len(content) < _START:
        raise UnreadableError(f'it ends after {len(content)} bytes')
    _, major, minor, length = _PREAMBLE.unpack(content[: _PREAMBLE.size])
    if major != VERSION[0]:
        raise UnreadableError(
            f'it has format version {major}.{minor}, this program reads {VERSION[0]}.x; use the'
            f' version of the program that wrote it, or a newer one'
        )
    if length != len(content) or length > MAX_BYTES:
        raise UnreadableError(f'it has {len(content)} bytes and should have {length}, at most {MAX_BYTES}')
    body = content[_START:]
    if _digest(content[: _PREAMBLE.size], body) != content[_PREAMBLE.size : _START]:
        raise UnreadableError('the checksum is wrong: it was damaged')
    return body


def _digest(preamble: bytes | memoryview, body: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(preamble)
    digest.update(body)
    return digest.digest()


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text.decode('utf-8'))
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f'the manifest is no JSON ({error})') from error
