"""Running statistics: the reward baseline, and the moments for the normalisation of states."""

from __future__ import annotations

import numpy as np


def moving_average(old: float | None, new: float, decay: float) -> float:
    """Returns decay * old + (1 - decay) * new; `new` if there is no old value."""
    return new if old is None else decay * old + (1 - decay) * new


class RewardBaseline:
    """The moving average of the roll-outs' mean rewards, which is subtracted from rewards."""

    def __init__(self, decay: float, enabled: bool = True):
        self.decay = decay
        self.enabled = enabled
        self.average: float | None = None

    @property
    def value(self) -> float:
        """The baseline: 0 before the first roll-out has ended, or if not enabled."""
        return self.average or 0.0

    def update(self, rewards: np.ndarray) -> None:
        """Updates the average with the rewards of one roll-out."""
        if self.enabled:
            self.average = moving_average(self.average, float(np.mean(rewards, dtype=np.float64)), self.decay)

    def reset(self) -> None:
        self.average = None

    def get_state(self) -> dict[str, np.ndarray]:
        return {'average': np.array(np.nan if self.average is None else self.average, np.float64)}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        self.average = None if np.isnan(state['average']) else float(state['average'])


class RunningMoments:
    """Mean and variance of each column over all rows so far.

    Stored as mean and sum of squared deviations in float64 (Chan, Golub and LeVeque 1983); sums of squares would suffer
    from cancellation if the mean is large.
    """

    def __init__(self, width: int, min_variance: float, enabled: bool = True):
        self.min_variance = min_variance
        self.enabled = enabled
        self.width = width
        self.reset()

    def reset(self) -> None:
        self.count = 0
        self.mean = np.zeros(self.width)
        self.squares = np.zeros(self.width)

    def update(self, rows: np.ndarray) -> None:
        """Updates the moments with rows of shape (N, width), N > 0."""
        rows = np.asarray(rows, np.float64)
        mean, total = rows.mean(axis=0), self.count + len(rows)
        delta = mean - self.mean
        self.squares += ((rows - mean) ** 2).sum(axis=0) + delta**2 * self.count * len(rows) / total
        self.mean += delta * len(rows) / total
        self.count = total

    @property
    def std(self) -> np.ndarray:
        """Square root of max(variance, `min_variance`); 1 before the first row."""
        if not self.count:
            return np.ones(self.width)
        return np.sqrt(np.maximum(self.squares / self.count, self.min_variance))

    def normalize(self, rows: np.ndarray) -> np.ndarray:
        """(rows - mean) / std as float32; the rows unchanged if not enabled."""
        return ((rows - self.mean) / self.std).astype(np.float32) if self.enabled else rows

    def get_state(self) -> dict[str, np.ndarray]:
        return {'count': np.array(self.count, np.int64), 'mean': self.mean.copy(), 'squares': self.squares.copy()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        self.count = int(state['count'])
        self.mean, self.squares = state['mean'].copy(), state['squares'].copy()
