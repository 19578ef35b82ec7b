"""Names for components: one small registry per kind of component.

A component that takes long to import is declared in a module that imports quickly, with the data that the command line
needs; the module that defines it is imported when the component is first requested.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from pocketflow.utils.errors import UsageError

ComponentT = TypeVar('ComponentT')
DeclarationT = TypeVar('DeclarationT')


@dataclasses.dataclass
class _Entry(Generic[ComponentT, DeclarationT]):
    """An entry of a registry.

    Attributes:
      module: name of the module that registers a declared component; None without a declaration.
      declaration: the declared data.
      component: the component; None until the module is imported.
    """

    module: str | None = None
    declaration: DeclarationT | None = None
    component: ComponentT | None = None


class Registry(Generic[ComponentT, DeclarationT]):
    """Maps names on the command line to classes or functions.

    Args:
      kind: what the components are called in messages.
      name_attribute: the attribute of a class that is set to its name, if any.

    >>> learners: Registry[type, None] = Registry('learner', name_attribute='name')
    >>> @learners.register('full-prec')
    ... class FullPrecLearner: ...
    >>> learners.get('full-prec').name
    'full-prec'
    """

    def __init__(self, kind: str, name_attribute: str | None = None):
        self.kind, self._name_attribute = kind, name_attribute
        self._entries: dict[str, _Entry[ComponentT, DeclarationT]] = {}

    def declare(self, name: str, module: str, declaration: DeclarationT | None = None) -> None:
        """Declares a name whose component is registered by `module` on import.

        Args:
          name: the component's name.
          module: full name of the module.
          declaration: data about the component that are available without importing it.

        Raises:
          ValueError: the name is taken.
        """
        if name in self._entries:
            raise ValueError(f'{self.kind} {name!r} is declared twice, or was registered before')
        self._entries[name] = _Entry(module, declaration)

    def register(self, name: str) -> Callable[[ComponentT], ComponentT]:
        """Decorator that registers a class or function under `name`.

        A second component of that name is rejected, unless it is the same one, after its module was imported again.

        Raises:
          ValueError: the name is taken by another component, or was declared for another module.
        """

        def add(component: ComponentT) -> ComponentT:
            entry = self._entries.setdefault(name, _Entry())
            if entry.module not in (None, _origin(component)[0]):
                raise ValueError(f'{self.kind} {name!r} is registered twice: by {entry.module} and as {component}')
            known = entry.component
            if known is not None and known is not component and _origin(known) != _origin(component):
                raise ValueError(f'{self.kind} {name!r} is registered twice: {known} and {component}')
            entry.component = component
            if self._name_attribute is not None:
                setattr(component, self._name_attribute, name)
            return component

        return add

    def get(self, name: str) -> ComponentT:
        """Returns the component of that name; imports its module if necessary.

        Raises:
          UsageError: the name is unknown; the message lists the known ones.
        """
        entry = self._entry(name)
        if entry.component is None and entry.module is not None:
            importlib.import_module(entry.module)
        if entry.component is None:
            raise ValueError(f'{entry.module} does not register the {self.kind} {name!r}, for which it is declared')
        return entry.component

    def declaration(self, name: str) -> DeclarationT:
        """Returns the declaration of a component, without importing it. Raises a `UsageError` as `get` does."""
        declaration = self._entry(name).declaration
        if declaration is None:
            raise ValueError(f'the {self.kind} {name!r} has no declaration')
        return declaration

    def check(self, name: str) -> None:
        """Raises a `UsageError`, as `get` does, if the name is unknown; imports nothing."""
        self._entry(name)

    def _entry(self, name: str) -> _Entry[ComponentT, DeclarationT]:
        if name not in self._entries:
            raise UsageError(f'unknown {self.kind} {name!r}; known: {", ".join(self)}')
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __contains__(self, name: object) -> bool:
        return name in self._entries


def _origin(component: Any) -> tuple[str, str]:
    return component.__module__, component.__qualname__
