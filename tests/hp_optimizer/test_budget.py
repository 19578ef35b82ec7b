"""The projections, by hand and on random problems."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketflow.hp_optimizer.budget import (
    TOLERANCE,
    is_affordable,
    largest_affordable,
    round_to_budget,
    shift_to_budget,
)

SIZES = np.array([100.0, 200.0, 700.0])
ONES = np.ones(3)


def bits_cost(bits: np.ndarray) -> float:
    return float(SIZES @ bits)


def kept(sparsity: np.ndarray) -> float:
    return float(SIZES @ (1 - sparsity))


def test_a_common_shift_by_hand():
    # 100 a + 200 b + 700 c = 4000 at (6, 5, 4) - t: 4400 - 1000 t, so t = 0.4.
    values = shift_to_budget(np.array([6.0, 5.0, 4.0]), 2 * ONES, 8 * ONES, ONES, bits_cost, 4000)
    assert values == pytest.approx([5.6, 4.6, 3.6], abs=1e-5)


def test_the_nearest_candidate_by_hand():
    # The excess 400 over |n|^2 = 540000, times n: what a hyperplane's normal takes.
    values = shift_to_budget(np.array([6.0, 5.0, 4.0]), 2 * ONES, 8 * ONES, SIZES / 700, bits_cost, 4000)
    assert values == pytest.approx(np.array([6.0, 5.0, 4.0]) - 400 / 540000 * SIZES, abs=1e-5)


def test_bounds_cut_and_the_others_fill_in():
    # The first would fall to 1.9; at its bound 2, the others give 100 a + 900 (3 - t) = 2600: t = 1/3.
    values = shift_to_budget(np.array([2.2, 3.0, 3.0]), 2 * ONES, 8 * ONES, ONES, bits_cost, 2600)
    assert values == pytest.approx([2.0, 8 / 3, 8 / 3], abs=1e-5)


def test_sparsity_rises_where_the_budget_is_short_and_falls_where_it_is_not():
    low, high = np.zeros(3), np.full(3, 0.9)  # cheapest is the largest sparsity
    for start in (0.1, 0.8):
        values = shift_to_budget(np.full(3, start), high, low, ONES, kept, 250)
        assert values == pytest.approx([0.75] * 3, abs=1e-6)


def test_a_budget_for_more_than_the_dearest_gives_the_dearest():
    assert shift_to_budget(3 * ONES, 2 * ONES, 8 * ONES, ONES, bits_cost, 1e6).tolist() == [8, 8, 8]


def test_rounding_by_hand():
    # Floors of (5.6, 4.6, 3.6): 5, 4, 3 cost 3400. All lost 0.6: in their order 100, then 200 are added (3700);
    # 700 is too much, and so are other steps until 100 and 200 find no more room: 6, 5 -> 7 (3800), 6 (4000).
    bits = round_to_budget(np.array([5.6, 4.6, 3.6]), 2 * ONES, 8 * ONES, bits_cost, 4000)
    assert bits.tolist() == [7, 6, 3]
    assert bits_cost(bits) == 4000


def test_rounding_favours_who_lost_most():
    assert round_to_budget(np.array([4.1, 4.9, 3.0]), 2 * ONES, 8 * ONES, bits_cost, 3500).tolist() == [4, 5, 3]


def test_rounding_up_where_whole_numbers_save():
    # Values that save cost are rounded up, and lowered where there is room: 9 - v costs.
    cost = lambda values: float(SIZES @ (9 - values))  # noqa: E731
    values = round_to_budget(np.array([3.4, 3.4, 5.5]), 8 * ONES, 2 * ONES, cost, 4000)
    assert cost(values) <= 4000
    assert values.tolist() == [4, 3, 6] or cost(values) > 3900


problems = st.integers(1, 8).flatmap(
    lambda count: st.tuples(
        st.lists(st.floats(1, 1e4), min_size=count, max_size=count),
        st.lists(st.floats(-2, 12), min_size=count, max_size=count),
        st.floats(0, 1),
        st.booleans(),
    )
)


@settings(max_examples=60, deadline=None)
@given(problems)
def test_every_projection_keeps_the_budget_and_uses_it(problem: tuple):
    sizes, values, tightness, saves = np.array(problem[0]), np.array(problem[1]), problem[2], problem[3]
    low, high = np.full(len(sizes), 2.0), np.full(len(sizes), 8.0)
    cheapest, dearest = (high, low) if saves else (low, high)

    def cost(at: np.ndarray) -> float:
        return float(sizes @ (10 - at if saves else at))

    budget = cost(cheapest) + tightness * (cost(dearest) - cost(cheapest))
    real = shift_to_budget(values, cheapest, dearest, sizes / sizes.max(), cost, budget)
    assert (real >= low).all() and (real <= high).all()
    assert is_affordable(cost(real), budget) and cost(real) >= budget * (1 - TOLERANCE)
    assert shift_to_budget(real, cheapest, dearest, sizes / sizes.max(), cost, budget).tolist() == real.tolist()
    whole = round_to_budget(real, cheapest, dearest, cost, budget)
    assert (whole == np.round(whole)).all() and (whole >= low).all() and (whole <= high).all()
    assert is_affordable(cost(whole), budget)
    for place in range(len(sizes)):
        step = np.zeros(len(sizes))
        step[place] = np.sign(dearest[place] - cheapest[place])
        assert whole[place] == dearest[place] or not is_affordable(cost(whole + step), budget)


def test_a_cost_with_steps_is_searched_to_its_last_affordable_step():
    def cost(x: float) -> float:
        return float(np.floor(10 * x))

    assert cost(largest_affordable(cost, 5.0, 0.0, 1.0)) == 5
    before_the_jump = largest_affordable(cost, 5.5, 0.0, 1.0)
    assert before_the_jump == pytest.approx(0.6, abs=1e-9) and before_the_jump < 0.6


def test_a_smooth_cost_takes_few_evaluations():
    asked = []
    result = largest_affordable(lambda x: asked.append(x) or x**3, 0.3, 0.0, 1.0)
    assert 0.3 * (1 - TOLERANCE) <= result**3 <= 0.3
    assert len(asked) < 25
