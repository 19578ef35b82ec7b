"""Reasons in one line."""

from __future__ import annotations

import pytest

from pocketflow.utils.models.errors import first_line


@pytest.mark.parametrize(
    ('text', 'line'), [('\n one\ntwo', 'one'), ('', 'ValueError'), (' ', 'ValueError'), ('x' * 500, 'x' * 200)]
)
def test_the_first_line_or_the_type(text, line):
    assert first_line(ValueError(text)) == line
