from __future__ import annotations

import numpy as np

from pocketflow.learners.channel_pruning.selectors.obs import obs_channels
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
