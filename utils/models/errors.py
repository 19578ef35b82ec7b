"""The error raised when a model cannot be read."""

from __future__ import annotations


class UnreadableError(Exception):
    """The reason why a file is not readable as a model; the caller adds the path."""
