"""Screening: candidates that are among the worst before tuning need not be tuned."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pocketflow.hp_optimizer.journal import Trial


def screening_floor(
    trials: Sequence[Trial], quantile: float = 0.25, num_min: int = 10, correlation: float = 0.5
) -> float:
    """The reward before tuning (`Trial.extra['before']`) below which a candidate is not tuned.

    Args:
      trials: all trials so far.
      quantile: quantile of the rewards before tuning at the floor, over all trials with a finite one, screened or not.
      num_min: least number of tuned trials.
      correlation: least Spearman rank correlation between the rewards before and after tuning of the tuned trials:
        rewards that do not predict the result of tuning are not used.

    Returns:
      The floor; -inf if all candidates are to be tuned.
    """
    judged = [trial for trial in trials if math.isfinite(trial.extra.get('before', math.nan))]
    pairs = [(trial.extra['before'], trial.reward) for trial in judged if trial.reward is not None]
    if len(pairs) < max(num_min, 2) or rank_correlation(*np.array(pairs, float).T) < correlation:
        return -math.inf
    # A quantile of the tuned trials alone would rise with each candidate that passes.
    return float(np.quantile([trial.extra['before'] for trial in judged], quantile))


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation of two arrays `[n]`, n > 1; 0 if one of them is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    from scipy.stats import spearmanr

    return float(spearmanr(first, second).statistic)
