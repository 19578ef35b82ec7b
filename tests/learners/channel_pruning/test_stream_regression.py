from __future__ import annotations

import numpy as np
import pytest

from pocketflow.learners.channel_pruning.contributions import ChannelStatistics
from pocketflow.learners.channel_pruning.stream_regression import StreamRegression, coefficients
from pocketflow.utils.channels.streams import Stream

STREAM = Stream(np.arange(3), {'one': np.array([0, 1]), 'two': np.array([1, 2])}, np.array([False, False, False]))


def statistics(energies: list[float]) -> ChannelStatistics:
    """Of channels that have nothing in common."""
    return ChannelStatistics(np.diag(energies), np.array(energies), sum(energies), 1)


def test_scores_are_summed_with_equal_weight_of_the_readers():
    regression = StreamRegression(STREAM, ['one', 'two'], np.array([0, 1, 2]), {})
    scores = {'one': np.array([1.0, 3.0]), 'two': np.array([300.0, 100.0])}
    assert regression.summed(scores).tolist() == [0.25, 0.75 + 0.75, 0.25]


def test_statistics_are_divided_by_the_energy_of_the_output():
    given = {'one': statistics([1.0, 3.0]), 'two': statistics([30.0, 10.0])}
    gram, cross = StreamRegression(STREAM, ['one', 'two'], np.array([0, 1, 2]), given).equations()
    np.testing.assert_allclose(np.diag(gram), [0.25, 0.75 + 0.75, 0.25])
    np.testing.assert_allclose(cross, [0.25, 1.5, 0.25])


def test_what_other_channels_explain_is_taken_off():
    gram = np.array([[4.0, 2.0], [2.0, 4.0]])  # h = (6, 6): the first channel alone explains 6/4 of itself
    stream = Stream(np.arange(2), {'one': np.array([0, 1])}, np.array([True, False]))
    given = {'one': ChannelStatistics(gram, gram.sum(axis=1), float(gram.sum()), 1)}
    free_gram, cross = StreamRegression(stream, ['one'], np.array([1]), given).equations()
    energy = 12.0
    np.testing.assert_allclose(free_gram, [[4.0 / energy]])
    np.testing.assert_allclose(cross, [(6 - 2 * 1.5) / energy], rtol=1e-6)


def test_scales_of_kept_contributions_by_hand():
    gram, cross = np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([2.0, 2.0])
    assert coefficients(gram, cross, np.array([0, 1])) == pytest.approx([1.0, 0.5], rel=1e-6)
    assert coefficients(gram, cross, np.array([], int)).shape == (0,)
