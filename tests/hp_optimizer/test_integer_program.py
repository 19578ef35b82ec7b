"""The integer program against sums by hand and against all combinations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pocketflow.hp_optimizer.integer_program import GAP, Term, cost_of, least_loss, merged


def chain(num_groups: int, num_levels: int, seed: int) -> tuple[dict[str, np.ndarray], list[Term]]:
    """Layers between consecutive groups, whose costs are products of their inputs and outputs."""
    rng = np.random.default_rng(seed)
    names = [f'g{index}' for index in range(num_groups)]
    counts = np.arange(1, num_levels + 1)
    losses = {name: np.sort(rng.exponential(size=num_levels))[::-1].copy() for name in names}
    terms = [
        Term(pair, rng.uniform(1, 5) * np.outer(counts, counts).astype(float)) for pair in itertools.pairwise(names)
    ]
    return losses, [*terms, Term((names[0],), 3.0 * counts), Term((names[-1],), 4.0 * counts)]


def by_brute_force(losses: dict[str, np.ndarray], terms: list[Term], budget: float) -> float:
    choices = (dict(zip(losses, levels, strict=True)) for levels in np.ndindex(*map(len, losses.values())))
    return min(
        sum(loss[chosen[name]] for name, loss in losses.items())
        for chosen in choices
        if cost_of(chosen, terms) <= budget
    )


def test_two_layers_by_hand():
    # Group a may keep 1 or 2 channels, group b 1 or 2; the layer between them costs a * b, and its input a.
    losses = {'a': np.array([0.5, 0.0]), 'b': np.array([0.3, 0.0])}
    terms = [Term(('a', 'b'), np.array([[1.0, 2.0], [2.0, 4.0]])), Term(('a',), np.array([1.0, 2.0]))]
    assert cost_of({'a': 1, 'b': 1}, terms) == 6
    assert least_loss(losses, terms, 6) == {'a': 1, 'b': 1}
    assert least_loss(losses, terms, 5.9) == {'a': 1, 'b': 0}  # costs 4, loses 0.3
    assert least_loss(losses, terms, 3.9) == {'a': 0, 'b': 1}  # costs 3, loses 0.5
    assert least_loss(losses, terms, 2) == {'a': 0, 'b': 0}
    assert least_loss(losses, terms, 1.9) is None
    constant = Term((), np.array(10.0))
    assert cost_of({'a': 1, 'b': 1}, [*terms, constant]) == 16
    assert least_loss(losses, [*terms, constant], 15.9) == {'a': 1, 'b': 0}
    assert least_loss(losses, [*terms, constant], 11.9) is None


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('share', [0.15, 0.4, 0.7])
def test_within_one_percent_of_the_best_of_all_combinations(seed: int, share: float):
    losses, terms = chain(5, 5, seed)
    budget = share * cost_of(dict.fromkeys(losses, 4), terms)
    found = least_loss(losses, terms, budget)
    assert cost_of(found, terms) <= budget
    best = by_brute_force(losses, terms, budget)
    assert sum(loss[found[name]] for name, loss in losses.items()) <= best * (1 + max(GAP, 0.01))


def test_costs_may_fall_with_more_channels():
    losses = {'a': np.array([1.0, 0.5, 0.0])}
    assert least_loss(losses, [Term(('a',), np.array([5.0, 2.0, 9.0]))], 4.0) == {'a': 1}


def test_terms_of_the_same_groups_are_added():
    one, two = Term(('a', 'b'), np.array([[1.0, 2.0, 3.0]])), Term(('b', 'a'), np.array([[10.0], [20.0], [30.0]]))
    (both,) = merged([one, two])
    assert both.groups == ('a', 'b') and both.table.tolist() == [[11.0, 22.0, 33.0]]


def test_a_network_of_many_layers():
    losses, terms = chain(40, 8, seed=1)
    budget = 0.5 * cost_of(dict.fromkeys(losses, 7), terms)
    found = least_loss(losses, terms, budget)
    uniform = next(level for level in range(7, -1, -1) if cost_of(dict.fromkeys(losses, level), terms) <= budget)
    assert cost_of(found, terms) <= budget
    assert sum(losses[name][level] for name, level in found.items()) < sum(loss[uniform] for loss in losses.values())
