"""Detects the type of a model file by its content; messages for files that are no readable model."""

from __future__ import annotations

import os
from pathlib import Path

HDF5, ZIP, SAVED_MODEL = 'hdf5', 'zip', 'saved_model'

_MAGIC = ((b'\x89HDF\r\n\x1a\n', HDF5), (b'PK\x03\x04', ZIP), (b'PK\x05\x06', ZIP))
_PICKLE = 'it is a Python pickle, which may hold code and is never opened; save the model as .keras'
_AS_KERAS = 'give the tf_keras model that it was made from, saved as .keras'
_OTHERS = (
    (0, b'PFZ\x1a', 'it is a packed container; give it a name that ends in .pfz'),
    (4, b'TFL3', f'it is a TensorFlow Lite file, which is finished and cannot be compressed further; {_AS_KERAS}'),
    (0, b'\x1f\x8b', 'it is packed by gzip; unpack it'),
    (0, b'\x93NUMPY', 'it is a NumPy array; build the network, set its weights, and save it as .keras'),
    *((0, bytes((0x80, version)), _PICKLE) for version in range(2, 6)),
)
_SAVED_MODEL_FILES = ('saved_model.pb', 'saved_model.pbtxt')
_HEAD = 512


def kind_of(path: str | os.PathLike[str]) -> str | None:
    """Returns `HDF5` or `ZIP` by the first bytes, `SAVED_MODEL` for a SavedModel folder, else `None`."""
    if Path(path).is_dir():
        return SAVED_MODEL if is_saved_model(path) else None
    head = _head(path)
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)


def other_kind(path: str | os.PathLike[str]) -> str:
    """Message with the type of a file that holds no model and a remedy; raises an `OSError` if it cannot be read."""
    if Path(path).is_dir():
        return 'it is a folder without a model.keras'
    head = _head(path)
    if not head:
        return 'it is empty'
    for start, magic, message in _OTHERS:
        if head[start:].startswith(magic):
            return message
    if _is_text(head):
        is_json = head.lstrip()[:1] == b'{' and b'class_name' in head
        return ('it is the architecture of a model without its weights (JSON)' if is_json else 'it is a text file') + (
            '; save the model by model.save as .keras'
        )
    return 'its file type is not known; give a .keras file that tf_keras has written'


def is_saved_model(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a folder with a SavedModel."""
    return any((Path(path) / name).is_file() for name in _SAVED_MODEL_FILES)


def missing(path: str | os.PathLike[str]) -> str:
    """Message with a remedy for a path without a model."""
    if Path(f'{path}.index').is_file():
        return (
            'it is a checkpoint of TensorFlow; build the network with tf_keras, call load_weights, and save the '
            'model as .keras'
        )
    return 'no saved model there; give a .keras file or the directory of a finished run'


def _head(path: str | os.PathLike[str]) -> bytes:
    with open(path, 'rb') as file:
        return file.read(_HEAD)


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode('utf-8')
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # the last character may be truncated
            return False
        text = head[: error.start].decode('utf-8')
    return all(character.isprintable() or character.isspace() for character in text)
