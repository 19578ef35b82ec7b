"""The baseline of rewards, and the moments of states."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.rl_agents.ddpg.statistics import RewardBaseline, RunningMoments, moving_average


def test_the_first_value_of_a_moving_average_stands_for_itself():
    assert moving_average(None, 4.0, 0.95) == 4.0
    assert moving_average(4.0, 8.0, 0.75) == 5.0


def test_the_baseline_follows_the_mean_rewards():
    baseline = RewardBaseline(0.95)
    assert baseline.value == 0
    baseline.update(np.array([[1.0], [3.0]]))
    assert baseline.value == 2
    baseline.update(np.array([12.0, 32.0]))
    assert baseline.value == pytest.approx(0.95 * 2 + 0.05 * 22)
    baseline.reset()
    baseline.update(np.array([5.0]))
    assert baseline.value == 5


def test_a_baseline_that_is_off_stays_at_zero():
    baseline = RewardBaseline(0.95, enabled=False)
    baseline.update(np.array([1.0]))
    assert baseline.value == 0


@pytest.mark.parametrize('rewards', [[], [0.0], [2.0]])
def test_a_baseline_comes_back_from_its_state(rewards: list[float]):
    baseline, other = RewardBaseline(0.5), RewardBaseline(0.5)
    for reward in rewards:
        baseline.update(np.array([reward]))
    other.set_state(baseline.get_state())
    for one in (baseline, other):
        one.update(np.array([8.0]))
    assert other.value == baseline.value


def test_moments_are_those_of_all_rows():
    rows = np.random.default_rng(0).normal(3, 2, (50, 4))
    moments = RunningMoments(4, 1e-4)
    for part in np.split(rows, [1, 7, 30]):
        moments.update(part)
    np.testing.assert_allclose(moments.mean, rows.mean(axis=0))
    np.testing.assert_allclose(moments.std, rows.std(axis=0))
    np.testing.assert_allclose(moments.normalize(rows), (rows - rows.mean(axis=0)) / rows.std(axis=0), atol=1e-6)


def test_moments_keep_their_digits_where_the_mean_is_large():
    moments = RunningMoments(1, 1e-4)
    for value in (1e9 - 1, 1e9 + 1):
        moments.update(np.array([[value]]))
    assert moments.std == pytest.approx(1)


def test_the_variance_has_a_floor_and_no_rows_have_variance_one():
    moments = RunningMoments(2, 0.25)
    np.testing.assert_array_equal(moments.std, 1)
    moments.update(np.array([[5.0, -3.0], [5.0, -3.0]]))
    np.testing.assert_array_equal(moments.std, 0.5)


def test_moments_that_are_off_leave_states_alone():
    moments = RunningMoments(1, 1e-4, enabled=False)
    moments.update(np.array([[5.0], [9.0]]))
    rows = np.array([[1.0]], np.float32)
    assert moments.normalize(rows) is rows
