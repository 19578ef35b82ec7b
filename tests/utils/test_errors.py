"""The exit codes of failures, and their texts in one line."""

from __future__ import annotations

import pytest

from pocketflow.utils.errors import LONGEST_REASON, LostWorkerError, PocketFlowError, UsageError, first_line


@pytest.mark.parametrize(('kind', 'code'), [(PocketFlowError, 1), (UsageError, 2), (LostWorkerError, 75)])
def test_each_kind_has_its_exit_code_and_is_caught_as_one(kind, code):
    error = kind('text')
    assert isinstance(error, PocketFlowError) and error.exit_code == code and str(error) == 'text'


@pytest.mark.parametrize(
    ('text', 'line'),
    [('\n one\ntwo', 'one'), ('', 'ValueError'), (' ', 'ValueError'), ('x' * 500, 'x' * LONGEST_REASON)],
)
def test_the_first_line_or_the_type(text, line):
    assert first_line(ValueError(text)) == line
