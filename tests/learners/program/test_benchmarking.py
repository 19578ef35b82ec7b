"""The mode benchmark: files that fail are left out, and LiteRT's own tool is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketflow.learners.program import benchmarking
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.options import ExportOptions


@pytest.mark.parametrize(
    ('median', 'cells'), [(2.0, ['2.00', '0.95']), (0.02, ['0.02', 'too short: it rounds to 0.01'])]
)
def test_times_of_the_other_tool(median, cells, monkeypatch):
    monkeypatch.setattr(benchmarking, 'median_ms', lambda path, runs, warmup: median)
    assert benchmarking._other_time(Path('m.tflite'), 1.9, ExportOptions()) == cells


def test_a_tool_that_fails_costs_no_row(monkeypatch):
    def fail(path, runs, warmup):
        raise PocketFlowError('failed')

    monkeypatch.setattr(benchmarking, 'median_ms', fail)
    assert benchmarking._other_time(Path('m.tflite'), 1.9, ExportOptions()) == ['failed', '']
