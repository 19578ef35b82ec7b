"""Weighted means over steps or batches."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pocketflow.utils.errors import PocketFlowError


class WeightedMeans:
    """Weighted means of values by name."""

    def __init__(self) -> None:
        self._totals: dict[str, float] = {}
        self._weight = 0

    def to_text(self) -> str:
        """Serialises the sums since the last means."""
        return json.dumps({'totals': self._totals, 'weight': self._weight})

    def resume_from(self, text: str) -> None:
        """Restores the sums from `to_text`; ignores other texts."""
        try:
            known = json.loads(text)
            self._totals = {str(name): float(total) for name, total in known['totals'].items()}
            self._weight = int(known['weight'])
        except (ValueError, TypeError, KeyError, AttributeError):
            self._totals, self._weight = {}, 0

    def add(self, values: Mapping[str, float], weight: int) -> None:
        if self._totals and self._totals.keys() != values.keys():  # the restored sums are of other metrics
            self._totals, self._weight = {}, 0
        for name, value in values.items():
            self._totals[name] = self._totals.get(name, 0.0) + value * weight
        self._weight += weight

    def take(self) -> dict[str, float]:
        """Returns the means since the last call, and resets the sums."""
        if not self._weight:
            raise PocketFlowError('nothing was measured: the data set gave no batch')
        means = {name: total / self._weight for name, total in self._totals.items()}
        self._totals, self._weight = {}, 0
        return means
