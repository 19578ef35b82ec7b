"""Writing to the standard streams."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def say(text: str, stream: TextIO | None = None) -> None:
    """Prints a text at once. That a reader has gone, as in `| head`, is no failure of the work that was done.

    Args:
      stream: default: the standard output.
    """
    stream = sys.stdout if stream is None else stream
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        # What is still to be written, at the latest when the interpreter ends, would raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
