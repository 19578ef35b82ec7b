"""Names for components: one small registry per kind of component.

A component that takes long to load is declared first, in a module that loads quickly, with what the command line has to
know of it; the module that defines it is imported when the component itself is asked for.
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
    """What is filed under a name.

    Attributes:
      module: where a declared component is registered; None of one that was registered without a declaration.
      declaration: what was declared.
      component: None until the module is imported.
    """

    module: str | None = None
    declaration: DeclarationT | None = None
    component: ComponentT | None = None


class Registry(Generic[ComponentT, DeclarationT]):
    """Maps names on the command line to classes or functions.

    Args:
      kind: what the components are, for messages.
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
        """Files a name whose component `module` registers when it is imported.

        Args:
          name: the component's name.
          module: full name of the module.
          declaration: what is known of the component without importing it.

        Raises:
          ValueError: the name is taken.
        """
        if name in self._entries:
            raise ValueError(f'{self.kind} {name!r} is declared twice, or was registered before')
        self._entries[name] = _Entry(module, declaration)

    def register(self, name: str) -> Callable[[ComponentT], ComponentT]:
        """Decorator that files a class or function under `name`.

        A second one of that name is refused, unless it is the same one, read again from its file.

        Raises:
          ValueError: the name belongs to another component, or was declared for another module.
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
        """The component of that name, whose module is imported if need be.

        Raises:
          UsageError: there is none; the message lists the known names.
        """
        entry = self._entry(name)
        if entry.component is None and entry.module is not None:
            importlib.import_module(entry.module)
        if entry.component is None:
            raise ValueError(f'{entry.module} does not register the {self.kind} {name!r}, for which it is declared')
        return entry.component

    def declaration(self, name: str) -> DeclarationT:
        """What was declared of a component; it is not imported. Raises a `UsageError` as `get` does."""
        declaration = self._entry(name).declaration
        if declaration is None:
            raise ValueError(f'nothing was declared of the {self.kind} {name!r}')
        return declaration

    def check(self, name: str) -> None:
        """Raises a `UsageError`, as `get` does, if there is no such name; nothing is imported."""
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
