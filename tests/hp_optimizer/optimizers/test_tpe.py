"""The tree of Parzen estimators asks near what was good."""

from __future__ import annotations

import numpy as np

from pocketflow.hp_optimizer.optimizers.tpe import TpeOptimizer
from tests.hp_optimizer.test_domain import Line


def asked(optimizer: TpeOptimizer, count: int) -> np.ndarray:
    for _ in range(count):
        values = optimizer.ask()
        optimizer.tell(values, -abs(values['x'] - 0.8))  # y does not matter
    return np.stack(optimizer.points)


def test_after_the_random_draws_it_asks_near_the_best():
    points = asked(TpeOptimizer(Line(), 0, num_trials=30, num_startup=10), 30)
    assert np.median(np.abs(points[:10, 0] - 0.8)) > 0.15 > 0.1 > np.median(np.abs(points[20:, 0] - 0.8))


def test_what_is_told_without_being_asked_is_learned_from_as_well():
    told, asking = (TpeOptimizer(Line(), 0, num_trials=12, num_startup=4) for _ in range(2))
    for point in asked(asking, 8):
        told.tell(Line().decode(point), -abs(point[0] - 0.8))
    assert told.ask() == asking.ask()


def test_a_sixth_of_the_trials_is_drawn_at_random_but_at_most_twenty():
    found = [TpeOptimizer(Line(), num_trials=count)._settings['n_startup_jobs'] for count in (3, 60, 600)]
    assert found == [1, 10, 20]
