"""Writing to the standard streams."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def say(text: str, stream: TextIO | None = None) -> None:
    """Prints and flushes a text. A closed pipe, as in `| head`, is ignored.

    Args:
      stream: the stream; default: the standard output.
    """
    stream = sys.stdout if stream is None else stream
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        # Flushing the buffer, at the latest when the interpreter ends, would raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
