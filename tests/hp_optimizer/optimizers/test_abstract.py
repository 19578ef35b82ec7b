"""What optimizers share: the centre first, batches that stay until they are told, and randomness per trial."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.hp_optimizer.optimizers.abstract import HyperParamOptimizer
from tests.hp_optimizer.test_domain import Line


class Counting(HyperParamOptimizer):
    """Suggests a point that tells the number of the trial."""

    def _suggest(self) -> np.ndarray:
        return np.full(self.num_dims, self._next_trial / 100)


def test_the_first_candidate_is_the_centre_and_the_others_are_suggested():
    optimizer = Counting(Line())
    assert optimizer.ask_many(3) == [{'x': 0.5, 'y': 0.5}, {'x': 0.01, 'y': 0.01}, {'x': 0.02, 'y': 0.02}]


def test_a_batch_stays_until_it_was_told_as_often_as_it_is_long():
    optimizer = Counting(Line())
    batch = optimizer.ask_many(2)
    optimizer.tell(batch[0], 1)
    assert optimizer.ask_many(5) == batch
    optimizer.tell({'x': 0.3, 'y': 0.9}, 2)  # what was not asked counts, too
    assert optimizer.ask() == {'x': 0.02, 'y': 0.02}
    assert optimizer.rewards == [1.0, 2.0] and optimizer.points[1].tolist() == [0.3, 0.9]


def test_who_asks_cannot_change_what_was_asked():
    optimizer = Counting(Line())
    optimizer.ask()['x'] = 7
    assert optimizer.ask()['x'] == 0.5


@pytest.mark.parametrize('trial', [0, 3])
def test_randomness_is_of_the_seed_and_the_trial(trial):
    draws = {
        (seed, number): Counting(Line(), seed)._random(number).random()
        for seed in (0, 1)
        for number in (trial, trial + 1)
    }
    assert len(set(draws.values())) == 4
    assert Counting(Line(), 1)._random(trial).random() == draws[1, trial]
