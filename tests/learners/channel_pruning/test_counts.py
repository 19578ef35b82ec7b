from __future__ import annotations

import pytest

from pocketflow.learners.channel_pruning.counts import num_kept


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
        (10, 0.79, 8),
        (16, 0.999, 16),
        (64, 0.99, 63),
        (16, 0.95, 15),
        (7, 0.5, 3),
        (16, 0.5 * (1 - 1e-8), 8),
    ],
)
def test_number_kept(num_channels, share, expected):
    assert num_kept(num_channels, share) == expected
