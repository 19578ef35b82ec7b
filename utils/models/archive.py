"""Reads `.keras` files: zip archives with the architecture (`config.json`) and the weights (`model.weights.h5`)."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import h5py

from pocketflow.utils.models import architecture, hdf5
from pocketflow.utils.models.errors import UnreadableError

CONFIG, METADATA, WEIGHTS = 'config.json', 'metadata.json', 'model.weights.h5'
MAX_MEMBERS = 2**10

_MAX_METADATA_BYTES = 2**16
_ASSET = re.compile(r'assets/([\w -][\w. -]*/?)*')  # of layers that are rejected; assets are never unpacked


def read_config(path: str | os.PathLike[str]) -> tuple[Any, bytes, str | None]:
    """Reads the architecture in a `.keras` file; the weights are not unpacked.

    Returns:
      The architecture as data, its JSON text, and the Keras version that wrote the file (None if not stored).

    Raises:
      UnreadableError: the archive is not as Keras writes it. `zipfile` raises its own errors for damaged archives.
    """
    with zipfile.ZipFile(path) as archive:
        members = _checked_members(archive)
        version = _version(_read(archive, members[METADATA], _MAX_METADATA_BYTES)) if METADATA in members else None
        if CONFIG not in members:
            raise UnreadableError(_other_archive(members))
        if WEIGHTS not in members:
            raise UnreadableError(f'it has no {WEIGHTS}; save the model again with model.save')
        text = _read(archive, members[CONFIG], architecture.MAX_BYTES)
    return architecture.parsed(text), text, version


@contextlib.contextmanager
def weights(path: str | os.PathLike[str]) -> Iterator[tuple[h5py.File, int]]:
    """Opens the weights of a `.keras` file; yields the HDF5 file and its number of values.

    `read_config` must have checked the archive. Raises as `hdf5.num_values` does.
    """
    with zipfile.ZipFile(path) as archive:
        content = archive.read(WEIGHTS)
    with h5py.File(io.BytesIO(content), 'r') as file:
        yield file, hdf5.num_values(file, len(content))


def _checked_members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    members = archive.infolist()
    by_name = {member.filename: member for member in members}
    if len(members) > MAX_MEMBERS or len(by_name) < len(members):
        raise UnreadableError(
            f'its {len(members)} parts are not those that Keras writes: some have the same name, or '
            f'they are more than {MAX_MEMBERS}'
        )
    if CONFIG not in by_name:
        return by_name
    for name, member in by_name.items():
        if name not in (CONFIG, METADATA, WEIGHTS) and not _ASSET.fullmatch(name):
            raise UnreadableError(f'it has a part named {name[:80]!r}, which Keras does not write')
        if member.flag_bits & 1:
            raise UnreadableError(f'its part {name!r} is encrypted')
        if name == WEIGHTS and member.compress_type != zipfile.ZIP_STORED:
            raise UnreadableError(
                f'its part {WEIGHTS} is compressed, which Keras does not do; unpack it, and zip it '
                'without compression (zip -0)'
            )
    return by_name


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, max_bytes: int) -> bytes:
    if member.file_size > max_bytes:
        raise UnreadableError(
            f'its part {member.filename} has {member.file_size} bytes; at most {max_bytes} are accepted'
        )
    with archive.open(member) as file:
        return file.read(max_bytes + 1)


def _version(text: bytes) -> str | None:
    """Version of Keras that wrote the file; None if not stored."""
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f'its {METADATA} is no JSON') from error
    version = metadata.get('keras_version') if isinstance(metadata, dict) else None
    return version if isinstance(version, str) else None


def _other_archive(members: dict[str, zipfile.ZipInfo]) -> str:
    if any(name.endswith('data.pkl') for name in members):
        return 'it is a PyTorch file; build the network with tf_keras, copy the weights and save that as .keras'
    if any(name.endswith('saved_model.pb') for name in members):
        return 'it is a zipped SavedModel; ' + 'save the tf_keras model that it was made from as .keras'
    return f'it is a zip archive without {CONFIG}'
