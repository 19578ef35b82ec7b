from __future__ import annotations

import numpy as np
import pytest

from pocketflow.learners.channel_pruning import forward_selection
from pocketflow.learners.channel_pruning.forward_selection import forward_order
from pocketflow.learners.channel_pruning.selectors import lasso
from pocketflow.learners.channel_pruning.selectors.lasso import LassoSelector, lasso_channels


def regression(num_channels: int, num_samples: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Correlated contributions, some of which are small, and their products with a noisy sum."""
    rng = np.random.default_rng(num_channels)
    mixed = rng.normal(size=(num_samples, num_channels // 2)) @ rng.normal(size=(num_channels // 2, num_channels))
    parts = (mixed + rng.normal(size=mixed.shape)) * np.exp(-2 * np.arange(num_channels) / num_channels)
    output = parts.sum(axis=1) + rng.normal(size=num_samples)
    return parts.T @ parts, parts.T @ output


def error(gram: np.ndarray, cross: np.ndarray, chosen: list[int]) -> float:
    """The part of the output's energy that the best scales of the chosen channels reconstruct, negated."""
    return -float(cross[chosen] @ np.linalg.lstsq(gram[np.ix_(chosen, chosen)], cross[chosen], rcond=None)[0])


@pytest.mark.parametrize('pending', [1, 3, 100])
def test_each_channel_reduces_the_error_most(monkeypatch, pending):
    monkeypatch.setattr(forward_selection, 'PENDING', pending)
    gram, cross = regression(24)
    order, chosen = forward_order(gram, cross, 24).tolist(), []
    for best in order:
        errors = {other: error(gram, cross, [*chosen, other]) for other in range(24) if other not in chosen}
        assert errors[best] == pytest.approx(min(errors.values()), rel=1e-6)
        chosen.append(best)
    assert forward_order(gram, cross, 5).tolist() == order[:5]


def test_dependent_and_dead_channels_come_last():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(100, 3))
    parts = np.concatenate([np.zeros((100, 1)), base, base[:, :1] - base[:, 1:2]], axis=1)
    order = forward_order(parts.T @ parts, parts.T @ base @ [3.0, 2.0, 1.0], 5).tolist()
    assert sorted(order) == [0, 1, 2, 3, 4] and order[:3] == [1, 2, 3]
    assert sorted(forward_order(np.zeros((3, 3)), np.zeros(3), 3).tolist()) == [0, 1, 2]


def test_the_lasso_of_a_wide_layer_is_a_forward_selection_that_reconstructs_no_worse(monkeypatch):
    gram, cross = regression(60)
    selector = LassoSelector(None)
    narrow = selector._best(gram, cross, 30).tolist()
    assert narrow == lasso_channels(gram, cross, 30).tolist()
    monkeypatch.setattr(lasso, 'WIDE', 59)
    wide = selector._best(gram, cross, 30).tolist()
    assert wide == sorted(selector._order(gram, cross)[:30].tolist()) == sorted(forward_order(gram, cross, 30).tolist())
    assert error(gram, cross, wide) < error(gram, cross, narrow) < 0.98 * error(gram, cross, list(range(60)))
