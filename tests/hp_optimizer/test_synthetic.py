"""The formula networks."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.hp_optimizer.synthetic import (
    INTERACTION,
    SyntheticNetwork,
    bits_error,
    bits_problem,
    make_network,
    sparsity_error,
    sparsity_problem,
)


def test_errors_by_hand():
    assert [bits_error(bits) for bits in (1, 2, 3)] == [1, 0.25, 0.0625]
    assert (sparsity_error(0), sparsity_error(1)) == (0, 1)
    weights = np.abs(np.random.default_rng(0).laplace(size=200_000))
    weights.sort()
    assert sparsity_error(0.75) == pytest.approx((weights[:150_000] ** 2).sum() / (weights**2).sum(), abs=0.01)


def test_the_loss_by_hand():
    network = SyntheticNetwork((10, 10), (4.0, 1.0), bits_error)
    assert network.loss([1, 1]) == 4 + 1 + INTERACTION * 2
    assert network.loss([2, 1]) == 1 + 1 + INTERACTION * 1


def test_layers_are_very_different():
    network = make_network(bits_error, 2.0)
    assert len(network.sizes) == 20 and max(network.sizes) > 100 * min(network.sizes)
    assert max(network.sensitivities) == 2 and max(network.sensitivities) > 50 * min(network.sensitivities)


@pytest.mark.parametrize('make', [sparsity_problem, bits_problem])
def test_spending_on_the_sensitive_layers_pays(make):
    problem, reward = make(num_layers=8)
    point = np.full(8, 0.5)
    small = np.argsort([layer.features[1] for layer in problem.layers])[:4]
    point[small] = 0.9 if problem.integer else 0.1
    assert reward(problem.decode(point)) > reward(problem.uniform())
