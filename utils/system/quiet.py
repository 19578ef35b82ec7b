"""Suppresses output of the native code of the converter and the runtime."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_native_output() -> Iterator[None]:
    """Discards native code's output to the standard streams, and Python warnings, within the block.

    The file descriptors are replaced, since C++ code does not use `sys.stderr`; this also suppresses the output of
    other threads of this process.
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
