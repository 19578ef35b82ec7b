"""Files that are written whole or not at all, and are on the disk before they take their name."""

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
"""What file systems say that have no `fsync`, or none for folders."""


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Lets the `OSError`s of the block name this file: a failed write names nothing, or a temporary file."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # made by hand, with a text of its own
            raise
        if error.filename is None or Path(str(error.filename)).name.startswith(TEMPORARY_PREFIX):
            error.filename, error.filename2 = str(path), None
        raise


def sync(path: str | os.PathLike[str]) -> None:
    """Waits until a file, or the list of names in a folder, is on the disk: a power cut must not leave it empty."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)


def put_in_place(temporary: Path, path: Path) -> None:
    """Gives a temporary file of the same folder its name, after its content is on the disk."""
    sync(temporary)
    os.replace(temporary, path)
    sync(path.parent)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary name beside `path` to write to; it takes the place of `path` when the block ends without an error.

    The temporary name keeps the suffix, which tells some libraries the format. The folder of `path` is made, but not
    the one above: that is a run directory, and if it is gone, somebody has removed it.
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
