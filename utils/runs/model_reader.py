"""Reads each file of a model once per process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from pocketflow.utils.container import Unpacked, load_container
from pocketflow.utils.export.format_names import CONTAINER
from pocketflow.utils.models.files import load_model
from pocketflow.utils.models.keras_state import keras_state_kept

ResultT = TypeVar('ResultT')
Stamp = tuple[tuple[str, int, int], ...]
"""(path, size in bytes, time of the last change in nanoseconds) of each file of a model."""


class ModelReader:
    """Reads models, and keeps them for later requests in the same process.

    All requests for one file get the same model, which must not be modified. Reading leaves Keras' seeds and names as
    they were, so that results do not depend on which models were read. A file that has changed is read again.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Path, str], tuple[Stamp, Any]] = {}

    def read(self, path: Path) -> Unpacked:
        """The model in a file: a container, or any file of `load_model`, then without encodings.

        Raises:
          PocketFlowError: the file holds no model.
        """
        return self.once(path, 'model', lambda: _read(path))

    def once(self, path: Path, what: str, make: Callable[[], ResultT]) -> ResultT:
        """What `make` returns; it is called once for each file.

        Args:
          path: the file, or the folder of a SavedModel.
          what: distinguishes results that are made from one file.
          make: reads the file.
        """
        file = path.resolve()
        key, stamp = (file, what), stamp_of(file)
        if key not in self._known or self._known[key][0] != stamp:
            with keras_state_kept():
                self._known[key] = stamp, make()
        return cast(ResultT, self._known[key][1])


def _read(path: Path) -> Unpacked:
    return load_container(path) if path.suffix == f'.{CONTAINER}' else Unpacked(load_model(path), {})


def stamp_of(path: Path) -> Stamp:
    """Sizes and times of a file, or of all files in a folder; empty if there is none."""
    files = sorted(file for file in path.rglob('*') if file.is_file()) if path.is_dir() else [path]
    states = [(str(file), file.stat()) for file in files if file.exists()]
    return tuple((name, state.st_size, state.st_mtime_ns) for name, state in states)
