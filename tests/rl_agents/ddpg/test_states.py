"""States as flat dictionaries of plain arrays."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pocketflow.rl_agents.ddpg.states import (
    generator_state,
    joined,
    mismatches,
    new_generator,
    part_of,
    set_generator,
    set_variables,
    variables_state,
)


def test_the_generator_comes_back_from_thirteen_numbers():
    rng, other = new_generator(3), new_generator(4)
    rng.normal(size=3)
    rng.integers(5, size=3, dtype=np.int32)  # leaves half of a 64-bit number behind
    values = generator_state(rng)
    assert (values.dtype, values.shape) == (np.uint64, (13,))
    set_generator(other, values)
    for draw in (lambda g: g.integers(2**31, size=5, dtype=np.int32), lambda g: g.normal(size=4)):
        np.testing.assert_array_equal(draw(rng), draw(other))


def test_parts_are_joined_by_name_and_taken_apart_again():
    parts = {'a': {'x': 1, 'y': np.ones(2)}, 'ab': {'x': 2}}
    state = joined(parts)
    assert list(state) == ['a/x', 'a/y', 'ab/x'] and all(isinstance(value, np.ndarray) for value in state.values())
    assert list(part_of(state, 'a')) == ['x', 'y'] and part_of(state, 'ab')['x'] == 2


def test_states_of_other_sizes_are_told_by_their_names():
    one = {'a': np.ones(2), 'b': np.ones(3), 'c': np.ones(1)}
    other = {'a': np.zeros(2), 'b': np.ones((3, 1)), 'd': np.ones(1)}
    assert mismatches(one, other) == ['b', 'c', 'd'] and mismatches(one, one) == []


def test_variables_are_stored_in_their_order():
    variables = [tf.Variable([1.0, 2.0]), tf.Variable(3)]
    state = variables_state(variables)
    assert list(state) == ['000', '001']
    others = [tf.Variable([0.0, 0.0]), tf.Variable(0)]
    set_variables(others, state)
    assert [variable.numpy().tolist() for variable in others] == [[1.0, 2.0], 3]
