"""Validation of HDF5 files with weights, and of those (`.h5`) with a complete model.

HDF5 can link to other files, load plug-ins to decode data, and declare arrays that exceed the memory. Files are
checked before any array in them is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import h5py

from pocketflow.utils.models import architecture
from pocketflow.utils.models.errors import UnreadableError

MAX_OBJECTS = 2**16
"""Limit of the number of groups and arrays."""
MAX_UNPACKED, SMALL_BYTES = 20, 2**26
"""Arrays may declare in all this many times the bytes of the file, or `SMALL_BYTES` if that is more."""

_FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_LZF)
_JSON_LISTS = ('TensorShape', '__tuple__')  # representation in files of older releases


def num_values(file: h5py.File, num_bytes: int) -> int:
    """Checks a file and returns the number of values of all its arrays.

    Args:
      file: the opened file.
      num_bytes: size of the file.

    Raises:
      UnreadableError: it holds anything but plain numeric arrays, or declares far more bytes than it has.
    """
    nb, declared = 0, 0
    for place, (name, item) in enumerate(_items(file)):
        if place >= MAX_OBJECTS:
            raise UnreadableError(f'it has more than {MAX_OBJECTS} groups and arrays')
        if isinstance(item, h5py.Dataset):
            _check_array(name, item)
            nb += item.size
            declared += max(item.size, math.prod(item.chunks or ())) * item.dtype.itemsize
        if declared > max(MAX_UNPACKED * num_bytes, SMALL_BYTES):
            raise UnreadableError(f'its arrays have {declared} bytes and more, the file only {num_bytes}')
    return nb


def read_config(file: h5py.File) -> tuple[Any, str | None]:
    """Reads the architecture in the file of a complete model, and the Keras version that wrote it (None if not stored).

    Raises:
      UnreadableError: there is no readable architecture.
    """
    text = file.attrs.get('model_config')
    if text is None:
        raise UnreadableError(
            'it holds weights without an architecture (HDF5); give the model saved as .keras, or a --model or '
            '--model_helper that builds this network'
        )
    if not isinstance(text, str | bytes) or len(text) > architecture.MAX_BYTES:
        raise UnreadableError(f'its architecture is no text of at most {architecture.MAX_BYTES} bytes')
    return plain(architecture.without(architecture.parsed(text), ())), _version(file)


def model_weights(file: h5py.File) -> h5py.Group:
    """The group with the weights of a complete model; raises an `UnreadableError` if there is none."""
    group = file.get('model_weights')
    if not isinstance(group, h5py.Group):
        raise UnreadableError('it holds an architecture without weights; save the model again with model.save')
    return group


def _version(file: h5py.File) -> str | None:
    version = file.attrs.get('keras_version')
    version = version.decode('utf-8', 'replace') if isinstance(version, bytes) else version
    return version if isinstance(version, str) else None


def plain(config: Any) -> Any:
    """Converts the list types of older releases in a configuration to plain lists."""
    if isinstance(config, list):
        return [plain(item) for item in config]
    if not isinstance(config, dict):
        return config
    if config.get('class_name') in _JSON_LISTS and isinstance(config.get('items'), list):
        return plain(config['items'])
    return {key: plain(value) for key, value in config.items()}


def _items(file: h5py.File) -> Iterator[tuple[str, Any]]:
    """Iterates over all groups and arrays of a file; rejects links that are not hard links."""
    waiting, seen = [file], set()
    while waiting:
        group = waiting.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise UnreadableError(f'{name[:80]!r} in it points elsewhere; only data within the file are read')
            item = group[name]
            yield name, item
            if isinstance(item, h5py.Group):
                place = h5py.h5o.get_info(item.id).addr
                if place in seen:
                    raise UnreadableError(f'group {name[:80]!r} in it has two places')
                seen.add(place)
                waiting.append(item)


def _check_array(name: str, array: h5py.Dataset) -> None:
    settings = array.id.get_create_plist()
    if array.is_virtual or settings.get_external_count():
        raise UnreadableError(f'array {name[:80]!r} lies in another file; only data within the file are read')
    if any(settings.get_filter(place)[0] not in _FILTERS for place in range(settings.get_nfilters())):
        raise UnreadableError(f'array {name[:80]!r} is packed by a plug-in; only gzip and lzf are read')
    if array.dtype.kind not in 'biufV' or array.dtype.hasobject:
        raise UnreadableError(f'array {name[:80]!r} is not numeric')
