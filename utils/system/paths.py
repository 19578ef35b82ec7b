"""Error messages about paths given by the user."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from typing import Any

from pocketflow.utils.errors import UsageError

WRONG = {
    errno.EACCES: 'permission denied; give a path that this user may use, or change the rights on its folders',
    errno.EPERM: 'not permitted; give a path that this user may use',
    errno.ENAMETOOLONG: 'the name is too long: file systems take 255 bytes per name; give a shorter one',
    errno.ELOOP: 'symbolic links lead in a circle; give a path that ends at a file or folder',
    errno.ENOTDIR: 'part of the path is a file, not a folder; check the path',
    errno.EISDIR: 'is a folder where a file is needed; give a file, or move the folder away',
}
"""Number of an error caused by a wrong path -> message with a remedy."""
LOOP = 'Symlink loop'
"""Beginning of the `RuntimeError` of `Path.resolve` before Python 3.13."""


def path_error_message(error: OSError) -> str | None:
    """Message for an error caused by a wrong path; `None` for other errors, such as a full disk."""
    if error.errno not in WRONG or error.filename is None:
        return None
    return f'{shown(error.filename)}: {WRONG[error.errno]}'


def shown(path: str | bytes | os.PathLike[Any] | int, most: int = 200) -> str:
    """Formats a path for a message: one line, without unprintable characters, truncated in the middle if long."""
    text = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else str(path)
    text = ''.join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    return text if len(text) <= most else f'{text[: most // 2]}...{text[-most // 2 :]}'


@contextlib.contextmanager
def path_errors_reported() -> Iterator[None]:
    """Converts errors caused by a wrong path within the block into a `UsageError`; other errors pass."""
    try:
        yield
    except OSError as error:
        line = path_error_message(error)
        if line is None:
            raise
        raise UsageError(line) from error
    except RuntimeError as error:
        if not str(error).startswith(LOOP):
            raise
        raise UsageError(f'{error}; give a path that ends at a file or folder') from error


def refuse_unusable_text(what: str, text: str) -> None:
    """Raises a `UsageError` if a command-line value contains NUL characters or is no valid UTF-8 text."""
    if '\0' in text:
        raise UsageError(f'{what}={shown(text)}: holds a NUL character; is that really a flag file, saved as text?')
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f'{what}={shown(text)}: is no UTF-8 text; rename the file or folder, or set a UTF-8 locale'
        ) from None
