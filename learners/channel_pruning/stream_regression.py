"""The regression of several readers of one stream together, for choosing a common set of channels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import scipy.linalg

from pocketflow.learners.channel_pruning.contributions import ChannelStatistics
from pocketflow.utils.channels.streams import Stream

DAMPING = 1e-8
"""Damping, relative to the mean energy of a channel's contribution, because channels may be linearly dependent."""


@dataclasses.dataclass(frozen=True)
class StreamRegression:
    """The free channels of a stream, and what they contribute to the outputs of its readers in the full model.

    Attributes:
      stream: the stream.
      readers: the readers for which a common set is chosen.
      free: the channels to choose from, indices into the stream's channels, ascending.
      statistics: reader -> its statistics.
    """

    stream: Stream
    readers: Sequence[str]
    free: np.ndarray
    statistics: Mapping[str, ChannelStatistics]

    def equations(self) -> tuple[np.ndarray, np.ndarray]:
        """Summed statistics of the free channels, for the part of the outputs that the others do not explain.

        Each reader's statistics are divided by the energy of its output, so that all have equal weight.

        Returns:
          (G `[free, free]`, h `[free]`), float64.
        """
        gram, cross = self._summed_statistics()
        others = np.setdiff1d(np.arange(len(cross)), self.free)
        cross = cross[self.free] - gram[np.ix_(self.free, others)] @ coefficients(gram, cross, others)
        return gram[np.ix_(self.free, self.free)], cross

    def summed(self, scores: Mapping[str, np.ndarray]) -> np.ndarray:
        """Scores of the free channels, float64 `[free]`: summed over the readers, those of each divided by their sum.

        Args:
          scores: reader -> the score of each of its channels, not negative.
        """
        total = np.zeros(len(self.stream.identities))
        for name in self.readers:
            total[self.stream.places[name]] += scores[name] / (scores[name].sum() or 1.0)
        return total[self.free]

    def _summed_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        size = len(self.stream.identities)
        gram, cross = np.zeros((size, size)), np.zeros(size)
        for name in self.readers:
            statistics, places = self.statistics[name], self.stream.places[name]
            energy = statistics.energy or 1.0
            gram[np.ix_(places, places)] += statistics.gram / energy
            cross[places] += statistics.cross / energy
        return gram, cross


def coefficients(gram: np.ndarray, cross: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The least-squares scales of the contributions of some channels, with a damping of `DAMPING`."""
    if not len(kept):
        return np.zeros(0)
    gram = gram[np.ix_(kept, kept)]
    damping = DAMPING * np.trace(gram) / len(kept) or 1.0
    return scipy.linalg.solve(gram + damping * np.eye(len(kept)), cross[kept], assume_a='pos')
