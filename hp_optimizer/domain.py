"""Search domains: points of the unit cube that decode to candidates."""

from __future__ import annotations

import abc
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

Value = float | int | str
Values = dict[str, Value]


def as_number(value: Value) -> float:
    """A value that must be a number; raises a `TypeError` for texts."""
    if isinstance(value, str):
        raise TypeError(f'{value!r} is no number')
    return value


class Domain(abc.ABC):
    """A set of candidates, one value per name, parametrised by the unit cube `[0, 1]^D`.

    Optimizers work in the cube, without bounds, types or budgets: `decode` maps any point to a candidate that satisfies
    all constraints, and `encode` maps a candidate back to its point, so that optimizers learn from the point of the
    candidate that was evaluated.
    """

    names: tuple[str, ...]

    @abc.abstractmethod
    def decode(self, point: np.ndarray) -> Values:
        """The candidate at `point` `[D]`; satisfies all constraints."""

    @abc.abstractmethod
    def encode(self, values: Mapping[str, Value]) -> np.ndarray:
        """The point `[D]` of a candidate; `decode(encode(values)) == values` up to rounding errors.

        Raises:
          UsageError: `values` is no candidate of this domain.
        """

    @abc.abstractmethod
    def description(self) -> dict[str, Any]:
        """Complete definition of the domain, JSON-serialisable."""

    def cost(self, values: Mapping[str, Value]) -> float | None:
        """Cost of a candidate in the units of the budget; None if there is no budget."""
        return None

    def static_features(self) -> np.ndarray:
        """Static features of each name, roughly in [0, 1]: `[D, K]`."""
        return np.zeros((len(self.names), 0))

    def step_features(self, values: Mapping[str, Value]) -> np.ndarray:
        """Features of a partial candidate, in which only the names in `values` are decided, in [0, 1]: `[M]`."""
        return np.zeros(0)

    def fingerprint(self, context: Mapping[str, Any] | None = None) -> str:
        """A digest of the domain and of `context`, the other inputs that determine a reward."""
        text = json.dumps([self.description(), dict(context or {})], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
