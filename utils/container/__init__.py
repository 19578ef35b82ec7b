"""The packed container `.pfz`: a functional Keras model in few bytes, and back, bit for bit.

Kernels with an encoding are stored as their codes, sparse tensors without their zeros, and everything goes through an
entropy coder. `docs/container.md` describes the bytes. Nothing in a container is executed.
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
    """A model, not compiled, and the encodings of its kernels by layer."""

    model: keras.Model
    encodings: dict[str, Encoding]


def pack(model: keras.Model, encodings: Mapping[str, Encoding] | None = None) -> bytes:
    """The model as the bytes of a container.

    Args:
      model: a functional or sequential model of Keras' own and of registered layers; how it was compiled is not kept.
      encodings: layer name -> encoding of its kernel, which must decode to that kernel bit for bit.

    Raises:
      PocketFlowError: the model has a layer that a container cannot hold (code, unregistered), or an encoding does
        not fit; the layer is named.
    """
    return _contents.write(_model_io.contents_of(model, encodings or {}))


def unpack(content: bytes, source: str = 'the content') -> Unpacked:
    """The model that was packed, with the same weights bit for bit, and its encodings.

    Args:
      content: any bytes; they need not be trusted.
      source: what they are, for the error message.

    Raises:
      PocketFlowError: the bytes are no container that this version can read.
    """
    with _reading(source):
        return Unpacked(*_model_io.model_of(_contents.read(content)))


def save_container(model: keras.Model, encodings: Mapping[str, Encoding] | None, path: str | os.PathLike) -> int:
    """Writes the container of a model, whole or not at all; docs/container.md describes its bytes.

    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    >>> num_bytes = save_container(model, None, f'{folder}/model.pfz')
    >>> bool((load_container(f'{folder}/model.pfz').model.get_weights()[0] == model.get_weights()[0]).all())
    True

    Args:
      model: as for `pack`.
      encodings: layer -> encoding of its kernel, such as `pocketflow.quantize(model).encodings`; or None.
      path: of the file, `.pfz` by custom.

    Returns:
      The number of bytes written.

    Raises:
      PocketFlowError: as for `pack`.
    """
    content = pack(model, encodings)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return len(content)


def load_container(path: str | os.PathLike) -> Unpacked:
    """The model in a file that `save_container` wrote, with the same weights bit for bit; see there for an example.

    Args:
      path: of the file; it need not be trusted.

    Returns:
      `.model`, a Keras model that is not compiled, and `.encodings`, layer -> encoding of its kernel.

    Raises:
      UsageError: there is no such file.
      PocketFlowError: it is no container that this version can read.
    """
    return unpack(_bytes_of(Path(path)), str(path))


def tensor_table(content: bytes, source: str = 'the content') -> list[TensorRow]:
    """One row per weight, in the model's order, with its form of storage and its bytes; raises as `unpack` does."""
    with _reading(source):
        return _contents.rows(content)


def _bytes_of(path: Path) -> bytes:
    if not path.is_file():
        raise UsageError(f'{path}: there is no such file; give a .pfz container')
    with _reading(str(path)):
        if path.stat().st_size > _MAX_BYTES:
            raise _UnreadableError(f'it has {path.stat().st_size} bytes; at most {_MAX_BYTES} are accepted')
        return path.read_bytes()
