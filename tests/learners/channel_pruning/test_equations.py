"""Least squares from normal equations and from rows."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.learners.channel_pruning import equations as module
from pocketflow.learners.channel_pruning.equations import NormalEquations, SampledRows, SplitEquations, reconstructions
from pocketflow.learners.channel_pruning.linear_forms import channel_index


def equations_of(patches: np.ndarray, targets: np.ndarray) -> NormalEquations:
    return NormalEquations(patches.T @ patches, patches.T @ targets, float(np.sum(targets**2)), len(patches))


def reconstruct(equations: NormalEquations, kept: np.ndarray, ridge: float) -> np.ndarray:
    """Shrunk towards zero."""
    shape = equations.cross.shape
    block = np.arange(shape[0]), np.arange(shape[1])
    return next(reconstructions(equations, kept, [ridge], np.zeros(shape), [block]))


def test_half_gradient_by_hand():
    # p = (1, 2), y = 3 and w = (1, -1): P w - y = -4, times p.
    equations = equations_of(np.array([[1.0, 2.0]]), np.array([[3.0]]))
    assert equations.half_gradient(np.array([[1.0], [-1.0]])).tolist() == [[-4.0], [-8.0]]


def test_channel_regression_by_hand():
    # Two channels of one feature, one output: Z_1 = 2 p_1, Z_2 = 3 p_2 with p_1 = (1, 0), p_2 = (1, 1), y = (5, 3).
    patches, targets = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[5.0], [3.0]])
    gram, cross = equations_of(patches, targets).channel_regression(np.array([[2.0], [3.0]]), np.array([0, 1]))
    np.testing.assert_allclose(gram, [[4, 6], [6, 18]])
    np.testing.assert_allclose(cross, [10, 24])


def test_channel_regression_equals_the_regression_on_explicit_contributions():
    rng = np.random.default_rng(0)
    patches, weights, targets = rng.normal(size=(50, 12)), rng.normal(size=(12, 5)), rng.normal(size=(50, 5))
    channel_of = channel_index([np.array([0]), np.array([1, 3]), np.array([2])], 3)
    contributions = np.stack(
        [(patches[:, channel_of == c] @ weights[channel_of == c]).ravel() for c in range(3)], axis=1
    )
    gram, cross = equations_of(patches, targets).channel_regression(weights, channel_of)
    np.testing.assert_allclose(gram, contributions.T @ contributions)
    np.testing.assert_allclose(cross, contributions.T @ targets.ravel())


def test_reconstruction_is_least_squares_on_the_kept_features():
    rng = np.random.default_rng(4)
    patches, targets = rng.normal(size=(60, 6)), rng.normal(size=(60, 2))
    kept = np.array([0, 2, 5])
    equations = equations_of(patches, targets)
    weights = reconstruct(equations, kept, ridge=1e-12)
    expected, residual, *_ = np.linalg.lstsq(patches[:, kept], targets, rcond=None)
    np.testing.assert_allclose(weights[kept], expected, rtol=1e-6)
    assert not weights[[1, 3, 4]].any()
    assert equations.residual(weights) == pytest.approx(residual.sum(), rel=1e-6)


def test_ridge_by_hand():
    # One feature of energy 4, cross 8: 8 / (4 + 0.25 * 4) = 1.6.
    weights = reconstruct(NormalEquations(np.array([[4.0]]), np.array([[8.0]]), 16.0, 1), np.array([0]), ridge=0.25)
    assert weights[0, 0] == pytest.approx(1.6)


def test_reconstruction_of_dead_inputs_is_finite():
    weights = reconstruct(NormalEquations(np.zeros((2, 2)), np.zeros((2, 1)), 0.0, 1), np.array([0, 1]), ridge=1e-5)
    assert np.isfinite(weights).all()


def rows_and_normal(num_rows: int = 20) -> tuple[SampledRows, NormalEquations]:
    rng = np.random.default_rng(6)
    patches, targets = rng.normal(size=(num_rows, 8)).astype(np.float32), rng.normal(size=(num_rows, 6))
    return SampledRows(patches, targets), equations_of(patches.astype(np.float64), targets)


@pytest.mark.parametrize('num_rows', [3, 20])
def test_rows_answer_as_normal_equations_do(num_rows, monkeypatch):
    monkeypatch.setattr(module, 'ROWS_AT_A_TIME', 4)
    rows, normal = rows_and_normal(num_rows)
    rng = np.random.default_rng(7)
    weights, channel_of = rng.normal(size=(8, 6)), np.array([0, 1, 2, 1, 0, 1, 2, 1])
    assert rows.num_rows == num_rows and rows.energy == pytest.approx(normal.energy)
    assert rows.residual(weights) == pytest.approx(normal.residual(weights))
    np.testing.assert_allclose(rows.half_gradient(weights), normal.half_gradient(weights), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(rows.normal().gram, normal.gram)
    np.testing.assert_allclose(rows.normal().cross, normal.cross)
    for one, two in zip(
        rows.channel_regression(weights, channel_of), normal.channel_regression(weights, channel_of), strict=True
    ):
        np.testing.assert_allclose(one, two)
    kept, blocks = np.array([0, 2, 3, 6]), [(np.arange(4), np.arange(2)), (np.arange(4, 8), np.arange(2, 6))]
    for one, two in zip(
        *(list(reconstructions(each, kept, [1e-3, 1.0], weights, blocks)) for each in (rows, normal)), strict=True
    ):
        np.testing.assert_allclose(one, two, atol=1e-9)
        assert not one[:4, 2:].any() and not one[4:, :2].any() and not one[[1, 4, 5, 7]].any()
        assert one[[0, 2, 3]][:, :2].all() and one[6, 2:].all()


def test_parts_add_up():
    rows, normal = rows_and_normal()
    parts = SampledRows(rows.patches[:7], rows.targets[:7]), SampledRows(rows.patches[7:], rows.targets[7:])
    whole = SplitEquations(*parts, num_distinct=7).whole
    np.testing.assert_array_equal(whole.patches, rows.patches)
    summed = parts[0].normal() + parts[1].normal()
    np.testing.assert_allclose(summed.gram, normal.gram)
    assert summed.num_rows == 20 and summed.energy == pytest.approx(normal.energy)


def test_shrinking_towards_a_start_by_hand():
    # One feature of energy 4, cross 8, start 1: 1 + (8 - 4) / (4 + 0.25 * 4) = 1.8; a strong pull leaves the start.
    one = NormalEquations(np.array([[4.0]]), np.array([[8.0]]), 16.0, 1)
    block = np.array([0]), np.array([0])
    found = [float(w[0, 0]) for w in reconstructions(one, np.array([0]), [0.25, 1e9], np.array([[1.0]]), [block])]
    assert found == pytest.approx([1.8, 1.0])


def test_dead_inputs_keep_the_start():
    dead = NormalEquations(np.zeros((2, 2)), np.zeros((2, 1)), 0.0, 1)
    start = np.array([[3.0], [-2.0]])
    block = np.arange(2), np.arange(1)
    np.testing.assert_array_equal(next(reconstructions(dead, np.arange(2), [1e-5], start, [block])), start)
