"""Files and folders on a disk, or at an address (`gs://bucket/folder`) for which TensorFlow has a file system.

TensorFlow is imported only where an address is read: what is on a disk is listed before TensorFlow is loaded.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple

from pocketflow.utils.errors import UsageError, first_line

_SCHEME = re.compile(r'([A-Za-z][A-Za-z0-9.]*)://')
"""Begin of an address, as TensorFlow reads it (`tensorflow/core/platform/path.cc`)."""

BUFFER = 2**18
"""Bytes that are read at a time from an address."""


class Entry(NamedTuple):
    """What is in a folder; neither file nor folder is a broken link, for example."""

    name: str
    is_folder: bool
    is_file: bool


def is_address(path: str | None) -> bool:
    """Whether a path is an address.

    >>> is_address('gs://bucket/photos'), is_address('/data/a:b')
    (True, False)
    """
    return path is not None and _SCHEME.match(path) is not None


def refuse_unreadable_address(path: str | None) -> None:
    """Raises a `UsageError` if a path is an address that TensorFlow cannot read, or at which there is nothing."""
    import tensorflow as tf

    found = _SCHEME.match(path or '')
    if path is None or found is None:
        return
    known = tf.io.gfile.get_registered_schemes()
    if found[1] not in known:
        others = ', '.join(f'{scheme}://' for scheme in sorted(known) if scheme)
        raise UsageError(
            f'{path}: TensorFlow has no file system here for addresses with {found[0]}, but for {others}; mount the '
            'storage, or copy the files to a disk, and give their folder as --data_dir_local'
        )
    try:
        with _as_os_errors():
            tf.io.gfile.stat(path)
    except OSError as error:
        raise UsageError(
            f'{path}: cannot be read ({error.strerror}); check the address and the access to it, or copy the files to '
            'a disk, and give their folder as --data_dir_local'
        ) from error


def entries(folder: str, is_surely_file: Callable[[str], bool] = lambda name: False) -> list[Entry]:
    """The content of a folder, sorted by name.

    Args:
      folder: path or address.
      is_surely_file: tells by their names which entries at an address are files; each other one is asked for, which
        takes a request.

    Raises:
      OSError: it cannot be listed; `strerror` says why.
    """
    if not is_address(folder):
        with os.scandir(folder) as found:
            return sorted(Entry(entry.name, entry.is_dir(), entry.is_file()) for entry in found)
    import tensorflow as tf

    with _as_os_errors():
        tf.io.gfile.stat(folder)  # unlike the next line, it says what is wrong
        names = tf.io.gfile.listdir(folder)
    marked = {name.rstrip('/') for name in names if name.endswith('/')}  # some file systems mark folders

    def entry(name: str) -> Entry:
        is_folder = name in marked or (not is_surely_file(name) and is_folder_at(os.path.join(folder, name)))
        return Entry(name, is_folder, not is_folder)

    return [entry(name) for name in sorted({name.rstrip('/') for name in names} - {''})]


def is_folder_at(path: str) -> bool:
    """Whether a path or an address is that of a folder."""
    if not is_address(path):
        return os.path.isdir(path)
    import tensorflow as tf

    return bool(tf.io.gfile.isdir(path))


def identity(folder: str) -> tuple[int, int] | None:
    """What is equal for two paths of the same folder; None at an address, where there are no links."""
    if is_address(folder):
        return None
    status = os.stat(folder)
    return status.st_dev, status.st_ino


@contextlib.contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """Opens a file for reading; errors of TensorFlow's file systems within the block become `OSError`s."""
    if not is_address(path):
        with open(path, 'rb') as file:
            yield file
        return
    import tensorflow as tf

    size = num_bytes(path)
    with _as_os_errors(), tf.io.gfile.GFile(path, 'rb') as remote:
        yield io.BufferedReader(_Remote(remote, size), BUFFER)


class _Remote(io.RawIOBase):
    """A file of TensorFlow as a file of Python: one may seek beyond its end, where there is nothing to be read."""

    def __init__(self, file: Any, size: int):
        super().__init__()
        self._file, self._size, self._place = file, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        if self._place < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return self._place

    def readinto(self, buffer: Any) -> int:
        length = max(0, min(len(buffer), self._size - self._place))
        if length:
            with _as_os_errors():
                self._file.seek(self._place)
                content = self._file.read(length)
            length = len(content)
            buffer[:length] = content
            self._place += length
        return length


def num_bytes(path: str) -> int:
    """Size of a file; raises an `OSError` if there is none."""
    if not is_address(path):
        return os.path.getsize(path)
    import tensorflow as tf

    with _as_os_errors():
        return int(tf.io.gfile.stat(path).length)


@contextlib.contextmanager
def _as_os_errors() -> Iterator[Any]:
    import tensorflow as tf

    try:
        yield
    except UnicodeDecodeError as error:
        raise OSError(errno.EILSEQ, 'it has names that are no UTF-8 text') from error
    except tf.errors.OpError as error:
        number = errno.ENOENT if isinstance(error, tf.errors.NotFoundError) else errno.EIO
        raise OSError(number, first_line(error) if error.message else os.strerror(number)) from error
