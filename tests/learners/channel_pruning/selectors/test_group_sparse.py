from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize

from pocketflow.learners.channel_pruning.selectors import group_sparse
from pocketflow.learners.channel_pruning.selectors.group_sparse import (
    GroupLasso,
    greatest_eigenvalue,
    group_norms,
    group_shrunk,
    vanishing,
)
from tests.learners.channel_pruning.test_equations import equations_of
from tests.learners.channel_pruning.test_refit import NUM_CHANNELS, prefixes

CHANNEL_OF = np.array([0, 0, 1, 1, 2, 2, 3, 3])


def task(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Patches of four channels with two features each, and two outputs that need them to different extents."""
    rng = np.random.default_rng(seed)
    patches = rng.normal(size=(200, 8))
    weights = rng.normal(size=(8, 2)) * np.array([3.0, 0.1, 1.0, 0.3])[CHANNEL_OF, None]
    return patches, patches @ weights + 0.01 * rng.normal(size=(200, 2))


def order_of(patches: np.ndarray, targets: np.ndarray, channel_of: np.ndarray = CHANNEL_OF) -> list[int]:
    blocks = [(np.arange(patches.shape[1]), np.arange(targets.shape[1]))]
    start = np.zeros((patches.shape[1], targets.shape[1]))
    return list(vanishing(equations_of(patches, targets), channel_of, start, 1e-6, blocks))


def test_shrinkage_by_hand():
    weights = np.array([[3.0, 0.0], [0.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    channel_of = np.array([0, 0, 1, 2])
    np.testing.assert_allclose(
        group_shrunk(weights, channel_of, 1.0), [[2.4, 0.0], [0.0, 3.2], [0.0, 0.0], [0.0, 0.0]], rtol=1e-12
    )
    np.testing.assert_array_equal(group_shrunk(weights, channel_of, 0.0), weights)
    assert group_norms(weights, channel_of, 3).tolist() == [5.0, 0.5, 0.0]


def test_the_solution_is_the_minimum(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(group_sparse, 'MAX_STEPS', 5000)
    monkeypatch.setattr(group_sparse, 'TOLERANCE', 1e-12)
    patches, targets = task()
    gram, cross = patches.T @ patches, patches.T @ targets
    problem = GroupLasso(gram, cross, CHANNEL_OF, np.ones((8, 2), bool), 1 / np.linalg.eigvalsh(gram)[-1])

    def loss(flat: np.ndarray) -> float:
        weights = flat.reshape(8, 2)
        return np.sum(np.square(patches @ weights - targets)) / 2 + 60.0 * group_norms(weights, CHANNEL_OF, 4).sum()

    found = problem.solve(np.zeros((8, 2)), 60.0)
    best = scipy.optimize.minimize(loss, np.linalg.lstsq(patches, targets, rcond=None)[0].ravel(), method='Powell')
    assert loss(found.ravel()) <= best.fun * (1 + 1e-9)
    # Where the weights are not zero, the gradients cancel; where they are, that of the first term is at most 60.
    gradient = gram @ found - cross
    norms = group_norms(found, CHANNEL_OF, 4)
    assert norms[1] == 0 < norms[0]
    assert group_norms(gradient, CHANNEL_OF, 4)[1] <= 60
    np.testing.assert_allclose(gradient[:2], -60 * found[:2] / norms[0], rtol=1e-6)


def test_channels_vanish_by_what_they_contribute():
    assert order_of(*task()) == [1, 3, 2]


def test_units_of_the_inputs_do_not_matter():
    patches, targets = task()
    assert order_of(patches * np.array([1e-3, 1e3, 1.0, 50.0])[CHANNEL_OF], targets) == [1, 3, 2]


def test_of_two_equal_channels_and_a_dead_one_the_count_is_exact():
    patches, targets = task()
    patches[:, 2:4], patches[:, 6:] = patches[:, :2], 0
    order = order_of(patches, targets)
    assert order[0] == 3 and len(set(order)) == 3


@pytest.mark.parametrize('patches', [np.zeros((5, 8)), np.ones((5, 8))])
def test_without_inputs_or_outputs_there_is_still_an_order(patches):
    assert order_of(patches, np.zeros((5, 2))) == [0, 1, 2]
    assert len(order_of(np.ones((5, 8)), np.ones((5, 2)))) == 3


def test_weights_between_groups_stay_zero():
    patches, _ = task()
    targets = patches[:, :4] @ np.ones((4, 2))  # but the second output may only use channels 2 and 3
    blocks = [(np.arange(4), np.array([0])), (np.arange(4, 8), np.array([1]))]
    equations = equations_of(patches, targets)
    order = list(vanishing(equations, CHANNEL_OF, np.zeros((8, 2)), 1e-6, blocks))
    assert set(order[:2]) == {2, 3}


def test_the_greatest_eigenvalue():
    for size in (1, 2, 3, 20):
        matrix = np.random.default_rng(size).normal(size=(size, size))
        gram = matrix @ matrix.T
        assert greatest_eigenvalue(gram) == pytest.approx(np.linalg.eigvalsh(gram)[-1], rel=1e-3)
    assert greatest_eigenvalue(np.eye(5)) == pytest.approx(1)


@pytest.mark.parametrize('name', NUM_CHANNELS)
def test_the_first_of_the_order_are_what_is_chosen(name):
    for first, chosen in prefixes(name, 'group-sparse'):
        assert first == chosen
