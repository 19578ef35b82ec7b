"""The errors raised when a model cannot be read."""

from __future__ import annotations


class UnreadableError(Exception):
    """The reason why a file is not readable as a model; the caller adds the path."""


class CodeError(UnreadableError):
    """A file has, or names, code that is not that of Keras, and is not registered; it can be read if it is trusted.

    Args:
      what: what was found, a clause that begins with `its architecture`.
      remedy: the rest of the message.
    """

    def __init__(self, what: str, remedy: str):
        super().__init__(f'{what}{remedy}')
        self.what, self.remedy = what, remedy
