"""The mode benchmark: the comparison with LiteRT's own tool."""

from __future__ import annotations

import pytest

from pocketflow.learners.program.benchmarking import compared_with_tool
from pocketflow.utils.errors import PocketFlowError


@pytest.mark.parametrize(
    ('tool', 'cells'),
    [([2.5, 2.0, 9.0], ['2.00', '0.95']), ([0.02, 0.05, 0.5], ['0.02', 'too short: it rounds to 0.01'])],
)
def test_the_least_times_are_compared(tool, cells):
    ours, theirs = iter([7.0, 2.1, 1.9]), iter(tool)
    assert compared_with_tool(lambda: next(ours), lambda: next(theirs)) == cells


def test_a_tool_that_fails_costs_no_row():
    def fail():
        raise PocketFlowError('failed')

    assert compared_with_tool(lambda: 1.0, fail) == ['failed', '']
