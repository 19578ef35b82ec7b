"""Intervals by hand, and how often they hold what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pocketflow.utils.export.intervals import (
    around,
    block_medians,
    interval_rank,
    is_narrow,
    median_interval,
    speedup_interval,
)


@pytest.mark.parametrize(
    ('count', 'confidence', 'rank'),
    [
        # Both tails of the binomial distribution: 2 / 2^5 > 0.05, 2 / 2^6 < 0.05, 2 / 2^7 > 0.01, 2 / 2^8 < 0.01, and
        # 2 (1 + 10) / 2^10 < 0.05 < 2 (1 + 10 + 45) / 2^10.
        (0, 0.95, None),
        (1, 0.95, None),
        (5, 0.95, None),
        (6, 0.95, 0),
        (10, 0.95, 1),
        (7, 0.99, None),
        (8, 0.99, 0),
    ],
)
def test_ranks_by_hand(count, confidence, rank):
    assert interval_rank(count, confidence) == rank


@pytest.mark.parametrize('count', [12, 33, 100, 257])
def test_ranks_are_the_greatest_that_keep_the_confidence(count):
    def outside(rank: int) -> float:
        return 2 * sum(math.comb(count, below) for below in range(rank + 1)) / 2**count

    rank = interval_rank(count, 0.99)
    assert outside(rank) <= 0.01 < outside(rank + 1)


def test_intervals_by_hand():
    assert median_interval([5, 1, 9, 3, 7, 2, 8, 4, 6, 10], 0.95) == (2, 9)
    assert median_interval([1, 2, 3]) is None
    assert speedup_interval([2.0] * 8, [1.0] * 7 + [4.0]) == (0.5, 2.0)
    assert around((1.0, 2.0), 2.5) == (1.0, 2.5) and around((1.0, 2.0), 1.5) == (1.0, 2.0) and around(None, 2) is None


def test_what_is_narrow():
    assert is_narrow((1.0, 1.1)) and is_narrow((2.0, 2.19)) and not is_narrow((1.0, 1.2)) and not is_narrow(None)


def test_a_machine_that_slows_down_for_a_while_does_not_widen_it():
    load = np.where(np.arange(40) % 3 == 0, 4.0, 1.0)
    assert speedup_interval(load * 3.0, load * 2.0) == (1.5, 1.5)


def test_blocks_by_hand():
    assert block_medians([1, 2, 9, 4, 5, 6], 2) == [2, 5]
    assert block_medians([3, 1], 8) == [3, 1] and block_medians([]) == []
    assert block_medians(range(9), 8) == [0.5, 2, 3, 4, 5, 6, 7, 8]


def test_neighbours_that_go_together_are_no_proof():
    ratios = np.array([1.4] * 60 + [0.9] * 20)  # one side was favoured for a while, then the other
    assert median_interval(ratios)[0] == 1.4
    assert speedup_interval(ratios, np.ones(80)) == (0.9, 1.4)


def test_the_promise_is_kept():
    rng = np.random.default_rng(0)
    held = [
        low <= 1.0 <= high
        for low, high in (median_interval(np.exp(rng.standard_cauchy(25) / 9), 0.95) for _ in range(400))
    ]
    assert np.mean(held) >= 0.94
