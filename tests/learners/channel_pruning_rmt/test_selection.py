from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LassoLars, lars_path_gram

from pocketflow.learners.channel_pruning_rmt import selection
from pocketflow.learners.channel_pruning_rmt.selection import (
    lasso_channels,
    lasso_order,
    norm_channels,
    num_kept,
    obs_channels,
    random_channels,
)
from tests.learners.channel_pruning_rmt.test_equations import equations_of, reconstruct


def test_lasso_finds_the_channels_that_carry_the_output():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(400, 10))
    target = features[:, [2, 5, 7]] @ np.array([3.0, -2.0, 1.0])
    kept = lasso_channels(features.T @ features, features.T @ target, 3)
    assert kept.tolist() == [2, 5, 7]
    assert lasso_channels(features.T @ features, features.T @ target, 1).tolist() == [2]


def test_lasso_agrees_with_the_path_of_scikit_learn():
    rng = np.random.default_rng(2)
    features = rng.normal(size=(200, 8)) @ rng.normal(size=(8, 8))
    target = features @ rng.normal(size=8) + rng.normal(size=200)
    unit = features / np.linalg.norm(features, axis=0)
    path = LassoLars(alpha=0, fit_intercept=False).fit(unit, target).coef_path_
    for count in range(1, 9):
        steps = np.flatnonzero(np.count_nonzero(path, axis=0) == count)
        if len(steps):
            expected = np.flatnonzero(path[:, steps[0]])
            assert lasso_channels(features.T @ features, features.T @ target, count).tolist() == expected.tolist()


@pytest.mark.parametrize('num_keep', [1, 3, 5, 6])
def test_the_count_is_exact_for_dependent_and_dead_channels(num_keep):
    rng = np.random.default_rng(3)
    base = rng.normal(size=(100, 2))
    features = np.concatenate([base, base, base[:, :1] + base[:, 1:], np.zeros((100, 1))], axis=1)
    kept = lasso_channels(features.T @ features, features.T @ base.sum(axis=1), num_keep)
    assert len(set(kept.tolist())) == num_keep


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


def test_norms_and_draws():
    weights, channel_of = np.array([[1.0, -1.0], [3.0, 0.0], [0.0, 0.5], [0.0, 0.0]]), np.array([0, 1, 0, 1])
    assert norm_channels(weights, channel_of, 1).tolist() == [1]  # 3 against 2.5
    drawn = random_channels(10, 4, np.random.default_rng(0))
    assert len(set(drawn.tolist())) == 4 and max(drawn) < 10


@pytest.mark.parametrize(
    ('num_channels', 'share', 'expected'),
    [
        (16, 0.5, 8),
        (10, 1 - 0.9, 1),
        (3, 0.5, 1),
        (16, 1.0, 16),
        (1, 0.5, 1),
        (64, 0.01, 1),
        (10, 0.7, 7),
        (10, 0.79, 7),
        (16, 0.5 * (1 - 1e-8), 8),
    ],
)
def test_number_kept(num_channels, share, expected):
    assert num_kept(num_channels, share) == expected


@pytest.mark.parametrize('num_channels', [5, 12])
def test_a_path_that_is_cut_off_chooses_what_the_whole_path_does(num_channels: int, monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(num_channels)
    features = rng.normal(size=(40, num_channels)) @ rng.normal(size=(num_channels, num_channels))
    features[:, 3] = features[:, 1]
    gram, cross = features.T @ features, features.T @ (features.sum(axis=1) + rng.normal(size=40))
    steps = []

    def counted(*args, max_iter: int, **options):
        steps.append(max_iter)
        return lars_path_gram(*args, max_iter=max_iter, **options)

    monkeypatch.setattr(selection, 'lars_path_gram', counted)
    cut_off = [lasso_channels(gram, cross, count).tolist() for count in range(1, num_channels + 1)]
    assert max(steps[:2]) < num_channels
    whole = selection._lasso_path
    monkeypatch.setattr(selection, '_lasso_path', lambda gram, cross, _: whole(gram, cross, len(cross)))
    assert cut_off == [lasso_channels(gram, cross, count).tolist() for count in range(1, num_channels + 1)]


def test_all_channels_are_ordered_along_one_path(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(1)
    features = rng.normal(size=(40, 6))
    gram, cross = features.T @ features, features.T @ (features @ np.arange(1.0, 7.0))
    paths, follow = [], selection._lasso_path
    monkeypatch.setattr(selection, '_lasso_path', lambda *args: paths.append(1) or follow(*args))
    order = lasso_order(gram, cross)
    assert len(paths) == 1 and sorted(order.tolist()) == list(range(6))
    for count in range(1, 7):
        assert sorted(order[:count].tolist()) == lasso_channels(gram, cross, count).tolist()
