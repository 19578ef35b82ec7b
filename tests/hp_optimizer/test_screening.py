"""The floor below which candidates are not tuned."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pocketflow.hp_optimizer.journal import Trial
from pocketflow.hp_optimizer.screening import rank_correlation, screening_floor


def trials(before: list[float], rewards: list[float | None]) -> list[Trial]:
    return [
        Trial(number, {}, None, reward, extra={'before': first})
        for number, (first, reward) in enumerate(zip(before, rewards, strict=True), 1)
    ]


RISING = trials([0.1 * place for place in range(11)], [0.5 + 0.01 * place for place in range(11)])


def test_rank_correlation_by_hand():
    # 1 - 6 sum d^2 / (n (n^2 - 1)) with d = 0, 1, 1, 0.
    assert rank_correlation(np.array([1, 2, 3, 9]), np.array([1, 5, 4, 100])) == pytest.approx(1 - 12 / 60)
    assert rank_correlation(np.array([1, 1, 1]), np.array([1, 2, 3])) == 0


def test_the_floor_is_a_quantile_of_what_was_tuned():
    assert screening_floor(RISING) == pytest.approx(0.25)
    assert screening_floor(RISING, quantile=0.5) == pytest.approx(0.5)


def test_screened_ones_count_for_the_floor_but_not_for_what_it_tells():
    screened = [Trial(12 + place, {}, None, None, extra={'before': 0.0, 'screened': True}) for place in range(33)]
    assert screening_floor([*RISING, *screened]) == 0 < screening_floor(RISING)
    assert screening_floor([*RISING[:9], *screened]) == -math.inf


def test_others_do_not_count():
    others = [
        Trial(13, {}, None, 0.4),
        Trial(14, {}, None, 0.1, extra={'before': math.nan}),
        Trial(15, {}, None, 0.5, extra={'same_as': 1}),
    ]
    assert screening_floor([*RISING, *others]) == screening_floor(RISING)


def test_few_trials_decide_nothing():
    assert screening_floor(RISING[:9]) == -math.inf < screening_floor(RISING[:10])
    assert screening_floor(RISING[:3], num_min=3) == pytest.approx(0.05)
    assert screening_floor([]) == screening_floor([], num_min=0) == -math.inf


@pytest.mark.parametrize(
    'rewards, tells',
    [
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], True),
        ([9, 8, 7, 6, 5, 4, 3, 2, 1, 0], False),
        ([0.5] * 10, False),
        ([5, 6, 0, 9, 1, 8, 2, 7, 3, 4], False),
        ([1, 0, 3, 2, 5, 4, 7, 6, 9, 8], True),
    ],
)
def test_a_first_reward_that_tells_nothing_decides_nothing(rewards: list[float], tells: bool):
    floor = screening_floor(trials([float(place) for place in range(10)], rewards))
    assert floor == (2.25 if tells else -math.inf)
    assert screening_floor(trials([0.3] * 10, rewards)) == -math.inf
