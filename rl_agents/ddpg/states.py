"""States that can be stored: flat dictionaries of arrays, as `numpy.savez` accepts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

State = dict[str, np.ndarray]
GENERATOR_NUMBERS = ('buffer_pos', 'has_uint32', 'uinteger')


def joined(parts: Mapping[str, Mapping[str, np.ndarray]]) -> State:
    """Flattens nested states: {'a': {'x': 1}} -> {'a/x': 1}."""
    return {f'{part}/{name}': np.asarray(value) for part, state in parts.items() for name, value in state.items()}


def part_of(state: Mapping[str, np.ndarray], part: str) -> State:
    """The inverse of `joined`, for one part."""
    return {name.removeprefix(f'{part}/'): value for name, value in state.items() if name.startswith(f'{part}/')}


def mismatches(state: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> list[str]:
    """Names that occur in only one of the two states, or whose arrays differ in shape."""
    shapes, others = ({name: np.shape(value) for name, value in one.items()} for one in (state, other))
    return sorted(name for name in shapes.keys() | others.keys() if shapes.get(name) != others.get(name))


def variables_state(variables: Sequence[tf.Variable]) -> State:
    return {f'{index:03}': variable.numpy() for index, variable in enumerate(variables)}


def set_variables(variables: Sequence[tf.Variable], state: Mapping[str, np.ndarray]) -> None:
    for index, variable in enumerate(variables):
        variable.assign(state[f'{index:03}'])


def new_generator(seed: int) -> np.random.Generator:
    """A Philox generator, whose state is a few 64-bit numbers (Salmon et al. 2011)."""
    return np.random.Generator(np.random.Philox(seed))


def generator_state(rng: np.random.Generator) -> np.ndarray:
    """The state of a generator by `new_generator`: uint64, shape (13,)."""
    state = rng.bit_generator.state
    values = [
        *state['state']['counter'],
        *state['state']['key'],
        *state['buffer'],
        *(state[name] for name in GENERATOR_NUMBERS),
    ]
    return np.array(values, np.uint64)


def set_generator(rng: np.random.Generator, values: np.ndarray) -> None:
    counter, key, buffer, numbers = np.split(np.asarray(values, np.uint64), [4, 6, 10])
    rng.bit_generator.state = {
        'bit_generator': 'Philox',
        'state': {'counter': counter, 'key': key},
        'buffer': buffer,
        **dict(zip(GENERATOR_NUMBERS, map(int, numbers), strict=True)),
    }
