from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LassoLars, lars_path_gram

from pocketflow.learners.channel_pruning.selectors import lasso
from pocketflow.learners.channel_pruning.selectors.lasso import LassoSelector, lasso_channels, lasso_order


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

    monkeypatch.setattr(lasso, 'lars_path_gram', counted)
    cut_off = [lasso_channels(gram, cross, count).tolist() for count in range(1, num_channels + 1)]
    assert max(steps[:2]) < num_channels
    whole = lasso.lasso_path
    monkeypatch.setattr(lasso, 'lasso_path', lambda gram, cross, _: whole(gram, cross, len(cross)))
    assert cut_off == [lasso_channels(gram, cross, count).tolist() for count in range(1, num_channels + 1)]


def test_all_channels_are_ordered_along_one_path(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(1)
    features = rng.normal(size=(40, 6))
    gram, cross = features.T @ features, features.T @ (features @ np.arange(1.0, 7.0))
    paths, follow = [], lasso.lasso_path
    monkeypatch.setattr(lasso, 'lasso_path', lambda *args: paths.append(1) or follow(*args))
    order = lasso_order(gram, cross)
    assert len(paths) == 1 and sorted(order.tolist()) == list(range(6))
    for count in range(1, 7):
        assert sorted(order[:count].tolist()) == lasso_channels(gram, cross, count).tolist()


def test_orthogonal_channels_are_selected_by_their_share_of_the_output():
    cross = np.array([1.0, 4.0, 2.0, 3.0])
    assert lasso_order(np.eye(4), cross).tolist() == [1, 3, 2, 0]


def test_the_path_of_a_layer_is_computed_once_for_all_counts(monkeypatch: pytest.MonkeyPatch):
    """The first call computes it as far as it needs it, the second to its end; others only read it."""
    rng = np.random.default_rng(4)
    paths, follow = [], lasso.lasso_path
    monkeypatch.setattr(lasso, 'lasso_path', lambda *args: paths.append(args[2]) or follow(*args))

    class Regression:
        def __init__(self):
            features = rng.normal(size=(40, 9))
            self.both = features.T @ features, features.T @ features.sum(axis=1)

        def contributions(self):
            return self.both

        def groups(self):
            return [np.arange(9)]

    first, second, selector = Regression(), Regression(), LassoSelector(None)
    for count in (2, 4, 3, 8, 5):
        assert selector.choose(first, count).tolist() == follow(*first.both, count).channels(count).tolist()
    assert selector.order(first).tolist() == lasso_order(*first.both).tolist()
    assert paths[:2] == [2, 9] and len(paths) == 3  # the third is that of lasso_order above
    assert selector.choose(second, 3).tolist() == follow(*second.both, 3).channels(3).tolist()
    assert len(paths) == 4
