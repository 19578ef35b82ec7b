"""Which candidates no other one beats."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pocketflow.hp_optimizer.pareto import pareto_front

SMALL = st.integers(0, 4).map(float)


def test_by_hand():
    assert pareto_front([]) == []
    assert pareto_front([(4, 0.9), (1, 0.3), (2, 0.3), (2, 0.6), (3, 0.5), (4, 0.8)]) == [1, 3, 0]


def test_equal_ones_do_not_beat_each_other():
    assert pareto_front([(2, 0.5), (1, 0.5), (1, 0.5)]) == [1, 2]


def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] <= other[0] and one[1] >= other[1] and one != other


@given(st.lists(st.tuples(SMALL, SMALL), max_size=12))
def test_exactly_those_that_none_beats(points: list[tuple[float, float]]):
    front = pareto_front(points)
    assert sorted(front) == [
        place for place, point in enumerate(points) if not any(beats(other, point) for other in points)
    ]
    assert [points[place][0] for place in front] == sorted(points[place][0] for place in front)
