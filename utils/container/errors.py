"""Errors of reading a container."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.models.errors import UnreadableError

__all__ = ['UnreadableError', 'reading']


@contextlib.contextmanager
def reading(source: str) -> Iterator[None]:
    """Converts an `UnreadableError` or `MemoryError` in the block into a `PocketFlowError`.

    Args:
      source: name of the container in the message.

    Raises:
      PocketFlowError: the block failed to read.
    """
    try:
        yield
    except UnreadableError as error:
        raise PocketFlowError(f'{source} is not a readable .pfz container: {error}') from error
    except MemoryError as error:
        raise PocketFlowError(
            f'{source} is not a readable .pfz container: this machine has not enough memory for what it declares'
        ) from error
