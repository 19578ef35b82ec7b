"""When masks are renewed, and equation 1 by hand."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.learners.weight_sparsification.options import MIN_UPDATES
from pocketflow.learners.weight_sparsification.schedule import PruningSchedule


def updates(schedule: PruningSchedule, num_steps: int) -> list[int]:
    steps = tf.range(1, num_steps + 1, dtype=tf.int64)
    return steps[schedule.is_update(steps)].numpy().tolist()


def ratio(schedule: PruningSchedule, step: int, final: float, initial: float = 0.0) -> float:
    return float(
        schedule.ratios(tf.constant(step, tf.int64), tf.constant(initial, tf.float64), tf.constant(final, tf.float64))
    )


def test_schedule_of_a_long_training():
    schedule = PruningSchedule.over(100_000, 0.1, 0.5, 500, 3.0)
    assert schedule == PruningSchedule(10_000, 50_000, 500, 3.0)
    assert updates(schedule, 100_000) == list(range(10_000, 50_001, 500))


def test_the_interval_shrinks_in_short_trainings():
    schedule = PruningSchedule.over(1000, 0.1, 0.5, 500, 3.0)
    assert MIN_UPDATES == 20 and schedule == PruningSchedule(100, 500, 20)
    assert updates(schedule, 1000) == list(range(100, 501, 20))


def test_the_end_is_an_update_even_between_multiples_of_the_interval():
    assert updates(PruningSchedule(10, 35, 10), 100) == [10, 20, 30, 35]


@pytest.mark.parametrize('num_steps', [1, 2, 3, 7])
@pytest.mark.parametrize(('begin', 'end'), [(0.0, 0.0), (0.1, 0.5), (0.5, 0.5), (1.0, 1.0), (0.0, 1.0)])
def test_the_final_ratio_is_reached_in_the_shortest_trainings(num_steps, begin, end):
    schedule = PruningSchedule.over(num_steps, begin, end, 500, 3.0)
    assert updates(schedule, num_steps)[-1] == max(1, int(num_steps * end)) == schedule.last
    assert ratio(schedule, schedule.last, 0.75) == 0.75


def test_equation_1():
    schedule = PruningSchedule(100, 500, 50, 3.0)
    expected = {
        0: 0.0,
        100: 0.0,
        200: 0.8 * (1 - 0.75**3),
        300: 0.8 * (1 - 0.5**3),
        499: 0.8 * (1 - 0.0025**3),
        500: 0.8,
        900: 0.8,
    }
    assert expected[200] == pytest.approx(0.4625) and expected[300] == pytest.approx(0.7)
    for step, value in expected.items():
        assert ratio(schedule, step, 0.8) == pytest.approx(value, abs=1e-12), step


def test_exponent_and_initial_share():
    assert ratio(PruningSchedule(0, 4, 1, 1.0), 1, 0.8) == pytest.approx(0.2)
    assert ratio(PruningSchedule(0, 4, 1, 0.5), 3, 0.8) == pytest.approx(0.4)
    assert ratio(PruningSchedule(0, 4, 1, 2.0), 2, 0.8, initial=0.4) == pytest.approx(0.7)
    assert ratio(PruningSchedule(2, 4, 1, 2.0), 1, 0.8, initial=0.4) == pytest.approx(0.4)


def test_begin_equal_to_end_is_one_step_up():
    schedule = PruningSchedule.over(100, 0.5, 0.5, 500, 3.0)
    assert [ratio(schedule, step, 0.6) for step in (49, 50, 51)] == [0.0, 0.6, 0.6]
    assert updates(schedule, 100) == [50]


def test_several_layers_at_once():
    schedule = PruningSchedule(0, 2, 1, 1.0)
    values = schedule.ratios(tf.constant(1, tf.int64), np.array([0.0, 0.2]), np.array([0.5, 0.6]))
    np.testing.assert_allclose(values, [0.25, 0.4])
