"""The replay buffer, a ring buffer: the newest transitions overwrite the oldest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Transitions(NamedTuple):
    """float32 arrays with one row per transition; `terminals` is 1 where the roll-out ended, else 0."""

    states: np.ndarray  # (N, state_dim)
    actions: np.ndarray  # (N, action_dim)
    rewards: np.ndarray  # (N, 1)
    terminals: np.ndarray  # (N, 1)
    states_next: np.ndarray  # (N, state_dim)

    def rows(self, index: np.ndarray | slice) -> Transitions:
        return Transitions(*(column[index] for column in self))


class ReplayBuffer:
    """Holds up to `capacity` transitions."""

    def __init__(self, state_dim: int, action_dim: int, capacity: int):
        self.capacity = capacity
        self.columns = Transitions(
            *(np.zeros((capacity, width), np.float32) for width in (state_dim, action_dim, 1, 1, state_dim))
        )
        self.position = 0
        self.count = 0

    def __len__(self) -> int:
        return self.count

    def append(self, transitions: Transitions) -> None:
        """Adds rows in order; of more than `capacity` rows only the last remain."""
        number = len(transitions.states)
        kept = min(number, self.capacity)
        places = (self.position + np.arange(number - kept, number)) % self.capacity
        for column, new in zip(self.columns, transitions, strict=True):
            column[places] = new[number - kept :]
        self.position = (self.position + number) % self.capacity
        self.count = min(self.count + number, self.capacity)

    def sample(self, number: int, rng: np.random.Generator) -> Transitions:
        """Rows drawn uniformly, with replacement."""
        return self.columns.rows(rng.integers(self.count, size=number))

    def reset(self) -> None:
        self.position = self.count = 0

    def get_state(self) -> dict[str, np.ndarray]:
        columns = {name: column.copy() for name, column in self.columns._asdict().items()}
        return {**columns, 'position': np.int64(self.position), 'count': np.int64(self.count)}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        self.position, self.count = int(state['position']), int(state['count'])
        for name, column in self.columns._asdict().items():
            column[:] = state[name]
