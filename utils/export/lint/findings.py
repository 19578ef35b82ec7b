"""What a check of a file has found, and what a check is given."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pocketflow.utils.export.lint.graph import FileGraph, Operation
from pocketflow.utils.registry import Registry

NUM_PLACES = 3
"""Places that are named for each finding."""
LONGEST_PLACE = 60


@dataclasses.dataclass(frozen=True)
class Finding:
    """A property of a file that may cost it the accelerator, or its accuracy there.

    Attributes:
      check: name of the check.
      concerns: the delegates, as in 'GPU' or 'NPU'.
      text: what was found.
      count: number of operations.
      places: some of them, by the names of their outputs.
      remedy: what to do about it.
      rewrite: value of `--rewrite_for` that does it at the export; '' if there is none.
    """

    check: str
    concerns: str
    text: str
    count: int
    places: tuple[str, ...]
    remedy: str
    rewrite: str = ''

    def to_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), 'places': list(self.places)}


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is checked.

    Attributes:
      graph: of the file.
      reasons: title of a delegate -> operations that it does not take -> why not.
      extremes: tensor -> its largest absolute value on samples; None if there were none.
      sums: reducing operation -> the largest sum of absolute values in one of its windows; None as above.
    """

    graph: FileGraph
    reasons: Mapping[str, Mapping[int, str]] = dataclasses.field(default_factory=dict)
    extremes: Mapping[int, float] | None = None
    sums: Mapping[int, float] | None = None


Check = Callable[[Subject], Iterable[Finding]]
CHECKS: Registry[Check, None] = Registry('check')
"""Checks by name; each is registered in a module of `pocketflow.utils.export.lint.checks`."""


def findings(subject: Subject) -> Iterator[Finding]:
    """The findings of all checks."""
    for name in CHECKS:
        yield from CHECKS.get(name)(subject)


def places_of(operations: Sequence[Operation]) -> tuple[str, ...]:
    """The first places of some operations, shortened from the left, where the names of all layers begin alike."""
    places = dict.fromkeys(operation.place for operation in operations)
    return tuple(
        place if len(place) <= LONGEST_PLACE else f'...{place[3 - LONGEST_PLACE :]}' for place in [*places][:NUM_PLACES]
    )
