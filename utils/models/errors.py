"""How reading a model fails: always with one reason."""

from __future__ import annotations


class UnreadableError(Exception):
    """Why something is not read as a model; who reads adds whose file it is."""
