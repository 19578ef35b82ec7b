"""Named arrays in a `.npz` file or in the `.npy` files of a folder; no file that is read runs code."""

from __future__ import annotations

import dataclasses
import functools
import os
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pocketflow.datasets.checks import NUMBER_KINDS
from pocketflow.datasets.sources.image_folders import shown, some
from pocketflow.datasets.sources.storage import entries, is_address, is_folder_at, num_bytes, opened
from pocketflow.utils.errors import UsageError, first_line
from pocketflow.utils.system.memory import available_bytes, in_words

NPZ, NPY = '.npz', '.npy'


@dataclasses.dataclass(frozen=True)
class StoredArray:
    """An array in a file.

    Attributes:
      where: file and name, for messages.
      num_bytes: unpacked, by the directory of the file.
      is_mapped: whether it stays on the disk.
      load: reads or maps it.
    """

    where: str
    num_bytes: int
    is_mapped: bool
    load: Callable[[], Any]


def open_arrays(path: str) -> Mapping[str, StoredArray]:
    """The arrays at a path by name, not yet read.

    Args:
      path: a `.npz` file, a folder with one of them, or a folder with `.npy` files; a path or an address.

    Raises:
      UsageError: there are none, or the file is damaged.
    """
    if not is_folder_at(path):
        return _of_npz(path)
    try:
        names = [entry.name for entry in entries(path, _is_array_file)]
    except OSError as error:
        raise UsageError(f'{shown(path)}: cannot be listed ({error.strerror})') from error
    packed = [name for name in names if name.endswith(NPZ)]
    single = [name for name in names if name.endswith(NPY)]
    if len(packed) == 1 and not single:
        return _of_npz(os.path.join(path, packed[0]))
    if packed:
        raise UsageError(
            f'{shown(path)}: holds {some([*packed, *single])}; give one .npz file: --data_dir_local=FILE.npz'
        )
    if not single:
        raise UsageError(f'{shown(path)}: holds no .npz or .npy files; expected there: arrays x_train and y_train')
    return {name.removesuffix(NPY): _of_npy(os.path.join(path, name)) for name in single}


def read_array(stored: StoredArray) -> np.ndarray:
    """Reads an array into memory, or maps it.

    Raises:
      UsageError: it is damaged, does not fit into memory, or holds something else than numbers.
    """
    available = available_bytes()
    if not stored.is_mapped and available is not None and stored.num_bytes > available:
        raise UsageError(
            f'{stored.where}: takes {in_words(stored.num_bytes)} of memory, {in_words(available)} are available; save '
            'it as a .npy file, which is not read into memory'
        )
    try:
        array = stored.load()
    except MemoryError as error:
        raise UsageError(f'{stored.where}: damaged, or too large for the memory ({first_line(error)})') from error
    except Exception as error:  # NumPy and zipfile raise exceptions of many types for damaged files
        if 'allow_pickle' in str(error) or 'Python objects' in str(error):
            raise UsageError(
                f'{stored.where}: holds Python objects, which can run code when they are read; save an array of numbers'
            ) from error
        raise UsageError(f'{stored.where}: damaged, or not an array ({first_line(error)})') from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in NUMBER_KINDS or array.ndim == 0:
        what = f'{array.dtype} of shape {array.shape}' if isinstance(array, np.ndarray) else 'no array'
        raise UsageError(f'{stored.where}: holds {what}; expected an array of numbers')
    return array


def _is_array_file(name: str) -> bool:
    return name.endswith((NPZ, NPY))


def _of_npz(path: str) -> Mapping[str, StoredArray]:
    try:
        with opened(path) as file, zipfile.ZipFile(file) as archive:
            arrays = [part for part in archive.infolist() if part.filename.endswith(NPY)]
            sizes = {part.filename.removesuffix(NPY): part.file_size for part in arrays}
    except Exception as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
        raise UsageError(f'{shown(path)}: not a .npz file ({reason}); expected what numpy.savez writes') from error
    if not sizes:
        raise UsageError(f'{shown(path)}: holds no arrays; expected there: x_train and y_train, as numpy.savez writes')

    def load(name: str) -> Any:
        with opened(path) as content, np.load(content, allow_pickle=False) as file:
            return file[name]

    return {
        name: StoredArray(f'{shown(path)}, array {shown(name)}', size, False, functools.partial(load, name))
        for name, size in sizes.items()
    }


def _of_npy(path: str) -> StoredArray:
    def load() -> Any:
        if not is_address(path):
            return np.load(path, mmap_mode='r', allow_pickle=False)
        with opened(path) as file:
            return np.load(file, allow_pickle=False)

    return StoredArray(shown(path), num_bytes(path), not is_address(path), load)
