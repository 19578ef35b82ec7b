"""Ranges from histograms, with numbers that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.learners.post_training.ranges import METHODS, least_squares, min_max, percentile, squared_error


def test_extremes_include_zero():
    assert min_max(np.ones(4), (1.0, 3.0)) == (0.0, 3.0)
    assert min_max(np.ones(4), (-3.0, -1.0)) == (-3.0, 0.0)


def test_percentile_leaves_the_outermost_values_out():
    counts = np.array([1.0, 9, 80, 9, 1])  # bins of width 2 from -5 to 5
    assert percentile(counts, (-5.0, 5.0), share=98.0) == (-3.0, 3.0)
    assert percentile(counts, (-5.0, 5.0), share=97.0) == (-3.0, 3.0)
    assert percentile(counts, (-5.0, 5.0), share=100.0) == (-5.0, 5.0)
    assert percentile(np.array([99.0, 0, 0, 1]), (0.0, 4.0), share=99.0) == (0.0, 1.0)  # one end only
    assert percentile(np.array([1.0, 0, 0, 99]), (-4.0, 0.0), share=99.0) == (-1.0, 0.0)


def test_squared_error_of_rounding_and_clipping():
    # 2 bits from -1 to 2: the points -1, 0, 1, 2.
    values = np.array([-1.5, 0.25, 2.0])
    assert squared_error(np.array([2.0, 4.0, 1.0]), values, (-1.0, 2.0), 2) == pytest.approx(2 * 0.25 + 4 * 0.0625)
    assert squared_error(np.array([1.0]), np.array([3.0]), (0.0, 0.0), 2) == 9


def test_least_squares_clips_a_rare_outlier_but_no_frequent_one():
    # Values 0.05, 0.15, ... below 1 and one near 10; 4 bits.
    counts = np.zeros(100)
    counts[:10], counts[99] = 100_000, 1
    low, high = least_squares(counts, (0.0, 10.0), 4)
    assert low == 0 and high == pytest.approx(2.0)  # the narrowest candidate: a fifth of the observed range
    counts[99] = 1_000_000
    assert least_squares(counts, (0.0, 10.0), 4)[1] > 9


def test_least_squares_keeps_the_ends_of_uniform_values():
    low, high = least_squares(np.ones(2048), (-1.0, 3.0), 8)
    assert (low, high) == pytest.approx((-1.0, 3.0), abs=0.05)


@pytest.mark.parametrize('method', METHODS.values())
def test_all_methods_take_values_of_one_sign(method):
    assert method(np.ones(8), (1.0, 2.0), 8)[0] == 0 and method(np.ones(8), (-2.0, -1.0), 8)[1] == 0
