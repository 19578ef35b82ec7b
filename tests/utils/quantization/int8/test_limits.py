"""The least width of ranges, by hand."""

from __future__ import annotations

import pytest

from pocketflow.utils.quantization.int8.limits import LEAST_SHARE, least_width


@pytest.mark.parametrize(
    ('reach', 'width', 'expected'),
    [
        (1024.0, 5.0, 1.0),  # a share of what could be reached
        (1024.0, 0.0, 1024.0),  # nothing is known of what was always zero
        (1024.0, 1e-38, 1024.0),  # which is how a calibrator writes zero
        (0.0, 5.0, 0.0),
    ],
)
def test_by_hand(reach, width, expected):
    assert least_width(reach, width) == expected


def test_factors_of_the_runtime_stay_below_its_limits():
    assert 2 / LEAST_SHARE / 127 < 2**8
