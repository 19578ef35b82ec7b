"""The exit codes of failures."""

from __future__ import annotations

import pytest

from pocketflow.utils.errors import LostWorkerError, PocketFlowError, UsageError


@pytest.mark.parametrize(('kind', 'code'), [(PocketFlowError, 1), (UsageError, 2), (LostWorkerError, 75)])
def test_each_kind_has_its_exit_code_and_is_caught_as_one(kind, code):
    error = kind('text')
    assert isinstance(error, PocketFlowError) and error.exit_code == code and str(error) == 'text'
