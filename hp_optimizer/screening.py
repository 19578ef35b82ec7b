"""Which candidates need not be tuned, as they are among the worst before."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pocketflow.hp_optimizer.journal import Trial


def screening_floor(
    trials: Sequence[Trial], quantile: float = 0.25, num_min: int = 10, correlation: float = 0.5
) -> float:
    """The reward before tuning (`Trial.extra['before']`) below which a candidate is not worth tuning.

    Args:
      trials: those so far.
      quantile: which share of all with a finite reward before tuning, screened out or not, had less than the floor.
      num_min: how many of them must have been tuned.
      correlation: how large Spearman's rank correlation between the rewards of these before and after tuning must be: a
        reward that does not tell what tuning makes of a candidate must not decide.

    Returns:
      The floor; -inf if all candidates are to be tuned.
    """
    judged = [trial for trial in trials if math.isfinite(trial.extra.get('before', math.nan))]
    pairs = [(trial.extra['before'], trial.reward) for trial in judged if trial.reward is not None]
    if len(pairs) < max(num_min, 2) or rank_correlation(*np.array(pairs, float).T) < correlation:
        return -math.inf
    # Of the tuned ones alone the floor would rise with each candidate that it lets pass.
    return float(np.quantile([trial.extra['before'] for trial in judged], quantile))


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation of two arrays `[n]`, n > 1; 0 if one of them is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    from scipy.stats import spearmanr

    return float(spearmanr(first, second).statistic)
