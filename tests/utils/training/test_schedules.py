from __future__ import annotations

import pytest

from pocketflow.utils.training.schedules import GradualWarmup, one_cycle, piecewise_constant, scaled_learning_rate


def test_linear_scaling():
    assert scaled_learning_rate(0.1, 256, 128) == pytest.approx(0.2)


def test_piecewise_constant_drops_at_its_boundaries():
    schedule = piecewise_constant(0.1, steps_per_epoch=10, boundaries=(1, 2), factors=(1, 0.1, 0.01))
    assert [round(float(schedule(step)), 6) for step in (0, 10, 11, 20, 21)] == [0.1, 0.1, 0.01, 0.01, 0.001]


def test_one_cycle_rises_for_a_quarter_and_falls_to_zero():
    schedule = one_cycle(0.4, num_steps=100)
    assert float(schedule(0)) == 0
    assert float(schedule(25)) == pytest.approx(0.4)
    assert float(schedule(62)) == pytest.approx(0.4 * 0.5, rel=0.05)
    assert float(schedule(100)) == pytest.approx(0, abs=1e-6)


def test_warm_up_by_hand():
    schedule = GradualWarmup(piecewise_constant(0.8, 10, (1,), (1, 0.1)), start=0.25, num_steps=6)
    assert [round(float(schedule(step)), 6) for step in (0, 2, 4, 6, 10, 11)] == [0.2, 0.4, 0.6, 0.8, 0.8, 0.08]


def test_warm_up_of_no_steps_ends_with_the_first():
    schedule = GradualWarmup(piecewise_constant(0.8, 10, (1,), (1, 0.1)), start=0.25, num_steps=0)
    assert [round(float(schedule(step)), 6) for step in (0, 1)] == [0.2, 0.8]


def test_warm_up_survives_saving():
    schedule = GradualWarmup(one_cycle(0.4, 100), 0.5, 10)
    again = GradualWarmup.from_config(schedule.get_config())
    assert float(again(5)) == float(schedule(5)) != 0
