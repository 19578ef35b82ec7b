"""Least widths of ranges, worked out by hand."""

from __future__ import annotations

import pytest

from pocketflow.utils.quantization.int8.limits import least_width


@pytest.mark.parametrize(
    ('reach', 'width', 'expected'),
    [
        (8.0, 4.0, 8 / 1024),  # a range that is wide enough: the floor is 2^-10 of the reach
        (8.0, 0.0, 8.0),  # always zero: all that the operation could reach
        (8.0, 8 / 2**20, 8.0),  # counts as zero up to 2^-20 of the reach
        (8.0, 9 / 2**20, 8 / 1024),
        (0.0, 0.0, 0.0),
    ],
)
def test_least_width(reach, width, expected):
    assert least_width(reach, width) == expected
