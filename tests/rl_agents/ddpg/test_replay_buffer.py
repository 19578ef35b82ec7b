"""The ring of transitions."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pocketflow.rl_agents.ddpg.replay_buffer import ReplayBuffer, Transitions


def numbered(*numbers: int) -> Transitions:
    """Transitions that carry a number in each place, different ones in each column."""
    column = np.array(numbers, np.float32)[:, np.newaxis]
    return Transitions(
        np.hstack([column, -column]), column + 100, column + 200, column % 2, np.hstack([column + 1, -column - 1])
    )


def held(buffer: ReplayBuffer) -> list[int]:
    return [int(number) for number in buffer.columns.states[: buffer.count, 0]]


def test_the_newest_overwrite_the_oldest():
    buffer = ReplayBuffer(2, 1, capacity=4)
    buffer.append(numbered(1, 2, 3))
    assert (held(buffer), buffer.position, len(buffer)) == ([1, 2, 3], 3, 3)
    buffer.append(numbered(4, 5, 6))  # wraps once
    assert (held(buffer), buffer.position, len(buffer)) == ([5, 6, 3, 4], 2, 4)


def test_the_columns_of_a_row_stay_together():
    buffer = ReplayBuffer(2, 1, capacity=3)
    buffer.append(numbered(1, 2, 3, 4, 5))
    sample = buffer.sample(50, np.random.default_rng(0))
    for row, expected in zip(zip(*sample, strict=True), map(numbered, sample.states[:, 0].astype(int)), strict=True):
        for value, column in zip(row, expected, strict=True):
            np.testing.assert_array_equal(value, column[0])


@given(st.lists(st.integers(0, 9), max_size=6), st.integers(1, 6))
def test_many_at_once_are_as_one_by_one(lengths: list[int], capacity: int):
    at_once, one_by_one = ReplayBuffer(2, 1, capacity), ReplayBuffer(2, 1, capacity)
    start = 0
    for length in lengths:
        numbers = range(start, start + length)
        at_once.append(numbered(*numbers))
        for number in numbers:
            one_by_one.append(numbered(number))
        start += length
    assert held(at_once) == held(one_by_one)
    assert at_once.position == one_by_one.position
    assert sorted(held(at_once)) == list(range(start))[-capacity:]


def test_samples_are_drawn_from_what_is_held_with_replacement():
    buffer = ReplayBuffer(2, 1, capacity=10)
    buffer.append(numbered(7, 8))
    drawn = buffer.sample(40, np.random.default_rng(0)).states[:, 0]
    assert set(drawn) == {7, 8}


def test_a_capacity_of_one_works():
    buffer = ReplayBuffer(2, 1, capacity=1)
    buffer.append(numbered(1))
    buffer.append(numbered(2, 3))
    assert held(buffer) == [3]


def test_reset_forgets_and_restoring_remembers():
    buffer, other = ReplayBuffer(2, 1, capacity=3), ReplayBuffer(2, 1, capacity=3)
    buffer.append(numbered(1, 2, 3, 4))
    state = buffer.get_state()
    buffer.reset()
    assert len(buffer) == 0
    buffer.append(numbered(9))  # must not change the state that was taken
    other.set_state(state)
    assert (held(other), other.position) == ([4, 2, 3], 1)
