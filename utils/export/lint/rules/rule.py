"""What a delegate's documentation says about an operation, and whether an operation of a file complies."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping

from pocketflow.utils.export.lint.graph import Operation


@dataclasses.dataclass(frozen=True)
class Source:
    """Where rules come from.

    Attributes:
      document: its title, and the file or section.
      address: of the documentation.
      date: when it was read, YYYY-MM.
    """

    document: str
    address: str
    date: str


@dataclasses.dataclass(frozen=True)
class Condition:
    """A condition on an operation.

    Attributes:
      text: what is required, as in 'at most 4 inputs'; shown to the user.
      holds: whether an operation complies.
    """

    text: str
    holds: Callable[[Operation], bool]


Conditions = tuple[Condition, ...]


@dataclasses.dataclass(frozen=True)
class DelegateRules:
    """The published rules of one delegate.

    Attributes:
      name: on the command line.
      title: in the report.
      sources: of the rules.
      operations: operation -> conditions, all of which must hold; operations that are not listed are not supported.
      all_operations: conditions on every operation.
    """

    name: str
    title: str
    sources: tuple[Source, ...]
    operations: Mapping[str, Conditions]
    all_operations: Conditions = ()

    def why_not(self, operation: Operation) -> str:
        """Why the delegate does not take an operation; '' if the rules say that it does."""
        if operation.name not in self.operations:
            return f'{operation.name} is not in the list of supported operations'
        for condition in (*self.all_operations, *self.operations[operation.name]):
            if not _holds(condition, operation):
                return f'required: {condition.text}'
        return ''


def _holds(condition: Condition, operation: Operation) -> bool:
    try:
        return condition.holds(operation)
    except (AttributeError, IndexError):  # an input that the condition is about is missing
        return False


def rules_for(names: Iterable[str], *conditions: Condition) -> dict[str, Conditions]:
    """The same conditions for several operations."""
    return dict.fromkeys(names, conditions)
