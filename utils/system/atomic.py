"""Atomic file writes: a file is synchronised to the disk before it is renamed to its final name."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TEMPORARY_PREFIX = '.tmp-'
CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
"""Error numbers of file systems without `fsync`, or without it for folders."""


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Sets the file name of `OSError`s in the block: failed writes name no file, or a temporary one."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # raised by Python code with its own text
            raise
        if error.filename is None or Path(str(error.filename)).name.startswith(TEMPORARY_PREFIX):
            error.filename, error.filename2 = str(path), None
        raise


def sync(path: str | os.PathLike[str]) -> None:
    """Waits until a file or a folder's directory entries are on the disk, so that a power failure loses nothing."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)


def put_in_place(temporary: Path, path: Path) -> None:
    """Renames a temporary file in the same folder to its final name, after synchronising its content to the disk."""
    sync(temporary)
    os.replace(temporary, path)
    sync(path.parent)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path beside `path`; it replaces `path` when the block ends without an error.

    The temporary path keeps the suffix, since some libraries derive the format from it. The folder of `path` is
    created, but not its parent: that is a run directory, which must not be created again if it was removed.
    """
    path = Path(path)
    with naming(path):
        path.parent.mkdir(exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, suffix=path.suffix, dir=path.parent)
        os.close(handle)
    temporary = Path(name)
    try:
        with naming(path):
            yield temporary
            os.chmod(temporary, 0o644)
            put_in_place(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding='utf-8')


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    write_text(path, json.dumps(value, indent=2) + '\n')
