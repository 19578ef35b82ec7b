"""What can be searched, as the optimizers see it: points of the unit cube that decode to candidates."""

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
    """A set of candidates, each a value per name, over the unit cube `[0, 1]^D`.

    Optimizers move in the cube and never see bounds, types or budgets: `decode` makes of any point a candidate that
    keeps all rules, and `encode` tells where in the cube a candidate lies, so that what was evaluated is what is
    learned from.
    """

    names: tuple[str, ...]

    @abc.abstractmethod
    def decode(self, point: np.ndarray) -> Values:
        """The candidate at `point` `[D]`; it keeps every rule."""

    @abc.abstractmethod
    def encode(self, values: Mapping[str, Value]) -> np.ndarray:
        """The point `[D]` of a candidate; `decode(encode(values)) == values`, but for rounding errors.

        Raises:
          UsageError: `values` is no candidate of this domain.
        """

    @abc.abstractmethod
    def description(self) -> dict[str, Any]:
        """All that tells this domain from another one, for JSON."""

    def cost(self, values: Mapping[str, Value]) -> float | None:
        """What a candidate costs, in the units of the budget; None where there is none."""
        return None

    def static_features(self) -> np.ndarray:
        """What is known of each name beforehand, in about [0, 1]: `[D, K]`."""
        return np.zeros((len(self.names), 0))

    def step_features(self, values: Mapping[str, Value]) -> np.ndarray:
        """How things stand when only the names in `values` are decided, in [0, 1]: `[M]`."""
        return np.zeros(0)

    def fingerprint(self, context: Mapping[str, Any] | None = None) -> str:
        """A short text that differs for another domain, or for another `context` (what else decides a reward)."""
        text = json.dumps([self.description(), dict(context or {})], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
