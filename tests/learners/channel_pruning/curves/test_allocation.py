"""Shares within budgets, against all combinations and by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning.choices import CURVE_METHODS
from pocketflow.learners.channel_pruning.curves import allocation
from pocketflow.learners.channel_pruning.curves.allocation import levels_of, shares_within
from pocketflow.learners.channel_pruning.curves.costs import KINDS, GroupCosts
from pocketflow.learners.channel_pruning.curves.curves import Curve, Curves, Quality
from pocketflow.learners.channel_pruning.curves.groups import Group
from pocketflow.utils.errors import UsageError
from pocketflow.utils.tasks.metric import ACCURACY
from tests.learners.channel_pruning.curves.test_costs import groups, residual

WHOLE = Quality(0.5, 0.9)
MODEL = residual()


def curves(seed: int = 0, joint: bool = True) -> Curves:
    """Random curves; channels of 'a2' lose nothing."""
    rng, found = np.random.default_rng(seed), []
    for name, group in groups(MODEL, joint).items():
        counts = [count for count in group.counts(np.arange(1, 8) / 8) if count < group.size]
        rises = np.sort(rng.exponential(size=len(counts)))[::-1] * (name != 'a2')
        points = {count: Quality(0.5 + rise, 0.9 - rise / 5) for count, rise in zip(counts, rises, strict=True)}
        found.append(Curve(group, points))
    return Curves('net', 'l1', '', ACCURACY, 100, WHOLE, tuple(found))


def counts_of(shares: dict[str, float], of: Curves) -> dict[str, int]:
    return {name: round(shares[name] * group.size) for name, group in of.groups.items()}


def loss_of(counts: dict[str, int], of: Curves) -> float:
    return sum(float(curve.losses(WHOLE, [counts[curve.group.name]])[0]) for curve in of)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('method', CURVE_METHODS)
@pytest.mark.parametrize('joint', [True, False])
def test_budgets_are_never_exceeded(kind, method, joint):
    of = curves(joint=joint)
    costs = GroupCosts(MODEL, of.groups, KINDS[kind][0])
    for share in (0.3, 0.5, 0.8):
        shares = shares_within(of, costs, share * costs.total({}), method)
        assert [*shares] == [name for group in of.groups.values() for name in group.ranks]
        assert costs.total(counts_of(shares, of)) <= share * costs.total({})


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('share', [0.3, 0.5, 0.7])
def test_the_program_is_within_one_percent_of_the_best_of_all_combinations(seed, share):
    of = curves(seed)
    costs = GroupCosts(MODEL, of.groups)
    budget = share * costs.total({})
    levels = levels_of(of)
    every = [dict(zip(levels, counts, strict=True)) for counts in itertools.product(*levels.values())]
    best = min(loss_of(counts, of) for counts in every if costs.total(counts) <= budget)
    assert loss_of(counts_of(shares_within(of, costs, budget), of), of) <= 1.01 * best + 1e-9


def test_where_costs_are_no_sums_the_budget_is_corrected():
    of = curves(joint=False)
    costs = GroupCosts(MODEL, of.groups)
    budget = 0.5 * costs.total({})
    found = counts_of(shares_within(of, costs, budget), of)
    uniform = max(
        ({name: group.counts([share])[0] for name, group in of.groups.items()} for share in np.arange(0.2, 1.0, 0.02)),
        key=lambda counts: (costs.total(counts) <= budget) * costs.total(counts),
    )
    assert costs.total(found) <= budget and loss_of(found, of) <= loss_of(uniform, of)


def test_sensitive_allows_every_group_the_same_drop():
    of = curves()
    costs = GroupCosts(MODEL, of.groups)
    found = counts_of(shares_within(of, costs, 0.5 * costs.total({}), 'sensitive'), of)
    drops = {curve.group.name: curve.drops(WHOLE, levels_of(of)[curve.group.name], ACCURACY) for curve in of}
    places = {name: levels_of(of)[name].index(count) for name, count in found.items()}
    allowed = max(drops[name][place] for name, place in places.items())
    # With one channel less, each group would lose more than what is allowed; 'a2' loses nothing, and has the least.
    assert found['a2'] == min(levels_of(of)['a2'])
    assert all(drops[name][place - 1] > allowed for name, place in places.items() if place)


def test_a_budget_out_of_reach_states_the_range():
    of = curves()
    costs = GroupCosts(MODEL, of.groups)
    with pytest.raises(
        UsageError, match=r'^out of reach: with 3 groups .* keep 0\.125 to all .* keeps 0\.\d+ to 1 of its cost'
    ):
        shares_within(of, costs, 0.01 * costs.total({}))


def test_a_budget_of_everything_keeps_everything():
    of = curves()
    costs = GroupCosts(MODEL, of.groups)
    assert set(shares_within(of, costs, costs.total({})).values()) == {1.0}


def test_multiples_of_channels(monkeypatch):
    of = curves()
    assert all(count % 4 == 0 or count == 6 for counts in levels_of(of, multiple=4).values() for count in counts)
    monkeypatch.setattr(allocation, 'least_loss', lambda *_: None)  # the program finds nothing
    costs = GroupCosts(MODEL, of.groups)
    budget = 0.6 * costs.total({})
    by_drop, filled = (counts_of(shares_within(of, costs, budget, method), of) for method in ('sensitive', 'program'))
    assert all(filled[name] >= count for name, count in by_drop.items())


@pytest.mark.parametrize('share', [0.4, 0.6, 0.9])
def test_the_program_leaves_no_room_for_another_level(share):
    of = curves(seed=3)  # 'a2' loses nothing at any level
    costs, levels = GroupCosts(MODEL, of.groups), levels_of(of)
    found = counts_of(shares_within(of, costs, share * costs.total({})), of)
    for name, count in found.items():
        above = [level for level in levels[name] if level > count]
        assert not above or costs.total({**found, name: above[0]}) > share * costs.total({})


def test_the_rest_of_the_budget_is_used_channel_by_channel():
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(60, 1, name='a')(inputs)
    model = keras.Model(inputs, keras.layers.Conv2D(10, 1, name='c')(keras.layers.Conv2D(50, 1, name='b')(x)))
    single = {name: Group(size, {name: tuple(range(size))}) for name, size in (('b', 60), ('c', 50))}
    of = tuple(Curve(group, {8: Quality(0.9, 0.5)}) for group in single.values())
    given = Curves('net', 'l1', '', ACCURACY, 100, WHOLE, of)
    costs = GroupCosts(model, given.groups)
    for share in (0.35, 0.6):
        budget = share * costs.total({})
        found = counts_of(shares_within(given, costs, budget), given)
        assert costs.total(found) <= budget
        more = [{**found, name: count + 1} for name, count in found.items() if count < single[name].size]
        assert more and all(costs.total(counts) > budget for counts in more)
