"""Means over steps or batches of different weight."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pocketflow.utils.errors import PocketFlowError


class WeightedMeans:
    """Means by name of values that stand for several samples each."""

    def __init__(self) -> None:
        self._totals: dict[str, float] = {}
        self._weight = 0

    def to_text(self) -> str:
        """What was added since the last means, to go on from."""
        return json.dumps({'totals': self._totals, 'weight': self._weight})

    def resume_from(self, text: str) -> None:
        """Takes over what another one has added; nothing of a text that `to_text` has not written."""
        try:
            known = json.loads(text)
            self._totals = {str(name): float(total) for name, total in known['totals'].items()}
            self._weight = int(known['weight'])
        except (ValueError, TypeError, KeyError, AttributeError):
            self._totals, self._weight = {}, 0

    def add(self, values: Mapping[str, float], weight: int) -> None:
        if self._totals and self._totals.keys() != values.keys():  # what was gone on from had other metrics
            self._totals, self._weight = {}, 0
        for name, value in values.items():
            self._totals[name] = self._totals.get(name, 0.0) + value * weight
        self._weight += weight

    def take(self) -> dict[str, float]:
        """The means since the last call."""
        if not self._weight:
            raise PocketFlowError('nothing was measured: the data set gave no batch')
        means = {name: total / self._weight for name, total in self._totals.items()}
        self._totals, self._weight = {}, 0
        return means
