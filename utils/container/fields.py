"""Validated access to untrusted JSON: each field is checked for its type and range when it is read."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pocketflow.utils.container.errors import UnreadableError


class Fields:
    """A JSON object of the manifest; `what` names it in errors."""

    def __init__(self, value: Any, what: str) -> None:
        if not isinstance(value, dict):
            raise UnreadableError(f'{what} is not a JSON object')
        self.value = value
        self.what = what

    def any(self, key: str) -> Any:
        """The field without a check of its value."""
        if key not in self.value:
            raise UnreadableError(f'{self.what} has no {key!r}')
        return self.value[key]

    def integer(self, key: str, low: int, high: int) -> int:
        """An integer in [low, high]."""
        return checked_integer(self.any(key), low, high, f'{key!r} of {self.what}')

    def text(self, key: str, max_length: int) -> str:
        value = self.any(key)
        if not isinstance(value, str) or len(value) > max_length:
            raise UnreadableError(f'{key!r} of {self.what} is not a text of at most {max_length} characters')
        return value

    def one_of(self, key: str, known: Collection[str]) -> str:
        value = self.any(key)
        if not isinstance(value, str) or value not in known:
            raise UnreadableError(f'{key!r} of {self.what} is {str(value)[:40]!r}; known: {", ".join(known)}')
        return value

    def items(self, key: str, max_length: int) -> list[Any]:
        return checked_list(self.any(key), max_length, f'{key!r} of {self.what}')

    def object(self, key: str) -> Fields:
        return Fields(self.any(key), f'{key!r} of {self.what}')


def checked_integer(value: Any, low: int, high: int, what: str) -> int:
    """Returns `value` if it is an integer in [low, high].

    Raises:
      UnreadableError: it is not.
    """
    if type(value) is not int or not low <= value <= high:
        raise UnreadableError(f'{what} is not an integer in {low}..{high}')
    return value


def checked_list(value: Any, max_length: int, what: str) -> list[Any]:
    """Returns `value` if it is a list of at most `max_length` items.

    Raises:
      UnreadableError: it is not.
    """
    if not isinstance(value, list) or len(value) > max_length:
        raise UnreadableError(f'{what} is not a list of at most {max_length} items')
    return value
