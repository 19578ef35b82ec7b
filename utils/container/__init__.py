"""The packed container `.pfz`: lossless compressed storage of a functional Keras model.

Kernels with an encoding are stored as their codes, sparse tensors without their zeros, and all streams are
entropy-coded. `docs/container.md` describes the format. No content of a container is executed.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import tf_keras as keras

from pocketflow.utils.container import contents as _contents
from pocketflow.utils.container import model_io as _model_io
from pocketflow.utils.container.contents import TensorRow
from pocketflow.utils.container.errors import UnreadableError as _UnreadableError
from pocketflow.utils.container.errors import reading as _reading
from pocketflow.utils.container.limits import MAX_BYTES as _MAX_BYTES
from pocketflow.utils.errors import UsageError
from pocketflow.utils.quantization.encoding import Encoding
from pocketflow.utils.system.atomic import replacing

__all__ = ['TensorRow', 'Unpacked', 'load_container', 'pack', 'save_container', 'tensor_table', 'unpack']


@dataclasses.dataclass(frozen=True)
class Unpacked:
    """An uncompiled model, and the encodings of its kernels by layer name."""

    model: keras.Model
    encodings: dict[str, Encoding]


def pack(model: keras.Model, encodings: Mapping[str, Encoding] | None = None) -> bytes:
    """Packs a model into the bytes of a container.

    Args:
      model: a functional or sequential model of Keras layers and registered layers; its compile state is not stored.
      encodings: layer name -> encoding of its kernel, which must decode to that kernel bit for bit.

    Raises:
      PocketFlowError: the model has a layer that a container cannot store (code, unregistered), or an encoding does
        not fit; the message names the layer.
    """
    return _contents.write(_model_io.contents_of(model, encodings or {}))


def unpack(content: bytes, source: str = 'the content') -> Unpacked:
    """Unpacks the model and its encodings; the weights are bit-identical to the packed ones.

    Args:
      content: the bytes of a container, possibly untrusted.
      source: name of their source, for the error message.

    Raises:
      PocketFlowError: the bytes are no container that this version can read.
    """
    with _reading(source):
        return Unpacked(*_model_io.model_of(_contents.read(content), source))


def save_container(model: keras.Model, encodings: Mapping[str, Encoding] | None, path: str | os.PathLike[str]) -> int:
    """Writes the container of a model atomically; docs/container.md describes the format.

    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    >>> num_bytes = save_container(model, None, f'{folder}/model.pfz')
    >>> bool((load_container(f'{folder}/model.pfz').model.get_weights()[0] == model.get_weights()[0]).all())
    True

    Args:
      model: as for `pack`.
      encodings: layer -> encoding of its kernel, such as `pocketflow.quantize(model).encodings`; or None.
      path: path of the file, by convention with suffix `.pfz`.

    Returns:
      The number of bytes written.

    Raises:
      PocketFlowError: as for `pack`.
    """
    content = pack(model, encodings)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return len(content)


def load_container(path: str | os.PathLike[str]) -> Unpacked:
    """Loads a model from a file written by `save_container`, with bit-identical weights; see there for an example.

    Args:
      path: path of the file, possibly untrusted.

    Returns:
      `.model`, an uncompiled Keras model, and `.encodings`, layer -> encoding of its kernel.

    Raises:
      UsageError: there is no such file.
      PocketFlowError: it is no container that this version can read.
    """
    return unpack(_bytes_of(Path(path)), str(path))


def tensor_table(content: bytes, source: str = 'the content') -> list[TensorRow]:
    """One row per weight, in the model's order, with storage form and size; raises as `unpack` does."""
    with _reading(source):
        return _contents.rows(content)


def _bytes_of(path: Path) -> bytes:
    if not path.is_file():
        raise UsageError(f'{path}: there is no such file; give a .pfz container')
    with _reading(str(path)):
        if path.stat().st_size > _MAX_BYTES:
            raise _UnreadableError(f'it has {path.stat().st_size} bytes; at most {_MAX_BYTES} are accepted')
        return path.read_bytes()
