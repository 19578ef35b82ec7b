from __future__ import annotations

import numpy as np
import pytest

from pocketflow.learners.channel_pruning.equations import NormalEquations
from pocketflow.learners.channel_pruning.selectors.obs import PENDING, obs_channels, obs_order
from tests.learners.channel_pruning.test_equations import equations_of, reconstruct


def test_the_surgeon_removes_what_costs_least_after_refitting():
    rng = np.random.default_rng(5)
    patches = rng.normal(size=(80, 8))
    patches[:, 6] = patches[:, 0] + 0.01 * rng.normal(size=80)  # channel 3 can stand in for channel 0
    equations = equations_of(patches, rng.normal(size=(80, 3)) + patches @ rng.normal(size=(8, 3)))
    channel_of = np.array([0, 0, 1, 1, 2, 2, 3, 3])

    def error_without(channel: int) -> float:
        return equations.residual(reconstruct(equations, np.flatnonzero(channel_of != channel), 1e-12))

    errors = [error_without(channel) for channel in range(4)]
    kept = obs_channels(equations, channel_of, 3, 1e-12)
    assert set(range(4)) - set(kept.tolist()) == {int(np.argmin(errors))}
    pair = obs_channels(equations, channel_of, 2, 1e-12)
    chosen = [channel for channel in kept if channel not in pair][0]
    rest = [[c for c in kept if c != gone] for gone in kept]
    by_refit = [
        equations.residual(reconstruct(equations, np.flatnonzero(np.isin(channel_of, keep)), 1e-12)) for keep in rest
    ]
    assert chosen == kept[int(np.argmin(by_refit))]


def order_by_fresh_inverses(equations: NormalEquations, channel_of: np.ndarray, ridge: float) -> list[int]:
    """The order of `obs_order`: the formula of its docstring with H and W solved anew after each removal."""
    damped = equations.gram + ridge * np.mean(np.diag(equations.gram)) * np.eye(len(channel_of))
    left, removed = list(range(channel_of.max() + 1)), []
    while len(left) > 1:
        rows = np.flatnonzero(np.isin(channel_of, left))
        inverse = np.linalg.inv(damped[np.ix_(rows, rows)])
        weights = inverse @ equations.cross[rows]
        own = [np.flatnonzero(channel_of[rows] == channel) for channel in left]
        costs = [np.trace(weights[o].T @ np.linalg.inv(inverse[np.ix_(o, o)]) @ weights[o]) for o in own]
        removed.append(left.pop(int(np.argmin(costs))))
    return [*left, *reversed(removed)]


@pytest.mark.parametrize(
    'channel_of',
    [
        np.tile(np.arange(2 * PENDING + 3), 4),  # the changes of the inverse are carried out twice
        np.array([2, 0, 1, 1, 2, 3, 0, 1, 4, 3]),  # from one to three features
        np.arange(6),
        np.array([0, 0]),
    ],
)
def test_all_channels_are_ordered_as_by_solving_anew_after_each_removal(channel_of):
    rng = np.random.default_rng(7)
    num_features = len(channel_of)
    patches = rng.normal(size=(3 * num_features, num_features)) @ rng.normal(size=(num_features, num_features))
    equations = equations_of(patches, patches @ rng.normal(size=(num_features, 3)) + rng.normal(size=(len(patches), 3)))
    order = obs_order(equations, channel_of, 1e-5)
    assert order.tolist() == order_by_fresh_inverses(equations, channel_of, 1e-5)
    for count in (1, len(order) // 2 + 1, len(order)):
        assert obs_channels(equations, channel_of, count, 1e-5).tolist() == sorted(order[:count].tolist())


def test_channels_without_any_input_are_removed_first():
    patches = np.zeros((10, 4))
    patches[:, 1] = np.arange(10)
    order = obs_order(equations_of(patches, patches[:, 1:2]), np.arange(4), 1e-5)
    assert order.tolist() == [1, 3, 2, 0]
