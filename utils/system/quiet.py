"""Keeping the converter's and the runtime's native chatter off the terminal."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_native_output() -> Iterator[None]:
    """Discards whatever native code prints to the standard streams, and Python warnings, inside the `with`.

    The file descriptors are replaced, since C++ code knows nothing of `sys.stderr`; so other threads of this
    process are silent too for that long.
    """
    _flush()
    saved = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    try:
        with tempfile.TemporaryFile() as sink, warnings.catch_warnings():
            warnings.simplefilter('ignore')
            for descriptor in saved:
                os.dup2(sink.fileno(), descriptor)
            yield
    finally:
        _flush()
        for descriptor, copy in saved.items():
            os.dup2(copy, descriptor)
            os.close(copy)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
