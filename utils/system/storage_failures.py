"""One-line messages for errors of the operating system while files are written or read.

Such an error may be raised by Python's file objects, by libraries that wrap them (zipfile, h5py), by TensorFlow's
checkpoints and summaries, which only quote the system's message, or be the cause of another error.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator

from pocketflow.utils.system.atomic import TEMPORARY_PREFIX

_ROOM, _RIGHTS, _GONE, _DISK = (
    'make room there',
    'let this user write there, or read what was given',
    'it was removed while the program was at work, or its disk is gone; bring it back',
    'look after the disk',
)
ADVICE = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: 'let files there be larger',
    errno.EROFS: 'make its file system writable',
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.ENOENT: _GONE,
    errno.ENOTDIR: _GONE,
    errno.ESTALE: _GONE,
    errno.ENODEV: _GONE,
    errno.ENXIO: _GONE,
    errno.EIO: _DISK,
    errno.EMFILE: 'let the process open more files (ulimit -n)',
    errno.ENFILE: 'let the system open more files',
}
"""Remedy by number of the error."""

_BY_WORDS = {os.strerror(number): number for number in ADVICE}
_QUOTED = re.compile(rf'(?:(?P<path>/[^;\n]*); )?(?P<words>{"|".join(map(re.escape, _BY_WORDS))})')
_TEMPORARY = re.compile(rf'{re.escape(TEMPORARY_PREFIX)}.*|tmp-worker-[0-9]+|ckpt-[0-9]+_temp')
MAX_CAUSES = 20


def storage_failure(error: BaseException) -> str | None:
    """Message for an error that is, or is caused by, a file error of the operating system; else `None`."""
    reason = storage_reason(error)
    if reason is None:
        return None
    return (
        f'{reason}: the same command then continues from the last checkpoint, bit for bit (files are written whole or '
        'not at all)'
    )


def storage_reason(error: BaseException) -> str | None:
    """As `storage_failure`, without what to do then: `/runs/mine: No space left on device; make room there`."""
    for cause in _causes(error):
        found = _refusal(cause)
        if found is not None:
            number, path = found
            return f'{_known_part(path) or "a file of this run"}: {os.strerror(number)}; {ADVICE[number]}'
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes, the latest first."""
    current: BaseException | None = error
    for _ in range(MAX_CAUSES):
        if current is None:
            return
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _refusal(error: BaseException) -> tuple[int, str | None] | None:
    """Number and path of the operating system's error that this error is, or quotes."""
    if isinstance(error, OSError) and error.errno is not None:
        path = error.filename2 or error.filename
        return (error.errno, None if path is None else os.fsdecode(path)) if error.errno in ADVICE else None
    if isinstance(error, (OSError, RuntimeError)) or _is_of_tensorflow(error):
        quoted = _QUOTED.search(str(error).rpartition('}} ')[2])  # after the name of TensorFlow's operation
        return (_BY_WORDS[quoted['words']], quoted['path']) if quoted else None
    return None


def _is_of_tensorflow(error: BaseException) -> bool:
    """Whether an error is a TensorFlow error; False if TensorFlow is not loaded."""
    tensorflow = sys.modules.get('tensorflow')
    return tensorflow is not None and isinstance(error, tensorflow.errors.OpError)


def _known_part(path: str | None) -> str | None:
    """A path without the temporary names at its end."""
    if path is None:
        return None
    parts = path.split('/')
    end = next((place for place, part in enumerate(parts) if _TEMPORARY.fullmatch(part)), len(parts))
    return '/'.join(parts[:end])
