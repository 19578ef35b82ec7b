"""Names for classes: one small registry per kind of component."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from pocketflow.utils.errors import UsageError

T = TypeVar('T')


class Registry(Generic[T]):
    """Maps names on the command line to classes, or to functions of one signature.

    >>> learners: Registry[type] = Registry('learner')
    >>> @learners.register('full-prec')
    ... class FullPrecLearner: ...
    >>> learners.get('full-prec').__name__
    'FullPrecLearner'
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that files the class or function under `name`.

        A second one of that name is refused, unless it is the same one, read again from its file.
        """

        def add(entry: T) -> T:
            known = self._entries.get(name, entry)
            if known is not entry and _origin(known) != _origin(entry):
                raise ValueError(f'{self.kind} {name!r} is registered twice: {known} and {entry}')
            self._entries[name] = entry
            return entry

        return add

    def get(self, name: str) -> T:
        """What is filed under `name`; a `UsageError` that lists the known names if there is none."""
        if name not in self._entries:
            raise UsageError(f'unknown {self.kind} {name!r}; known: {", ".join(self)}')
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __contains__(self, name: object) -> bool:
        return name in self._entries


def _origin(entry: Any) -> tuple[str, str]:
    return entry.__module__, entry.__qualname__
