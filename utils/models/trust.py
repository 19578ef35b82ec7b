"""Code in model files: it is run only within `trusting`, where the user has said that the files are trusted."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from os import PathLike
from typing import Any

from absl import logging

from pocketflow.utils.models import architecture
from pocketflow.utils.models.errors import CodeError

_IS_TRUSTED = contextvars.ContextVar('is_trusted', default=False)
_FOUND: set[str] = set()


@contextlib.contextmanager
def trusting(trusted: bool = True) -> Iterator[None]:
    """Within the block, code in the model files that are read is run, or is not (the default elsewhere)."""
    token = _IS_TRUSTED.set(trusted)
    _FOUND.clear()
    try:
        yield
    finally:
        _IS_TRUSTED.reset(token)


def is_trusted() -> bool:
    """Whether code in model files may be run here."""
    return _IS_TRUSTED.get()


def has_run_code() -> bool:
    """Whether a file that needs it has been read within the last `trusting`."""
    return bool(_FOUND)


def accepts(config: Any, source: str | PathLike[str] | None, allow_unrolled: bool = True) -> bool:
    """Checks the configuration of a model as `architecture.check`; in trusted files, code is accepted.

    Args:
      config: as for `architecture.check`.
      source: the file, for the warning; None if nothing is read, so that none is given.
      allow_unrolled: as for `architecture.check`.

    Returns:
      True if nothing in it is code; False if there is code, which may be run.

    Raises:
      UnreadableError: something is not accepted.
    """
    try:
        architecture.check(config, allow_unrolled)
    except CodeError as error:
        if not _IS_TRUSTED.get():
            raise
        if source is not None and str(source) not in _FOUND:
            _FOUND.add(str(source))
            logging.warning('%s: code in this file is run, because of --trust_model: %s', source, error.what)
        return False
    return True
