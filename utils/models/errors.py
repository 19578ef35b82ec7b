"""How reading a model fails: always with one reason."""

from __future__ import annotations


class UnreadableError(Exception):
    """Why something is not read as a model; who reads adds whose file it is."""


def first_line(error: Exception) -> str:
    """The first line of an exception's text, cut to 200 characters, or its type if it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
