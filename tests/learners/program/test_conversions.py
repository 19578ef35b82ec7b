"""The settings of conversions, and one line for each kind of failure."""

from __future__ import annotations

import errno

import pytest

from pocketflow.learners.program.conversions import conversion_settings, reason_of_failure
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.isolated import Settings
from pocketflow.utils.export.options import ExportOptions
from pocketflow.utils.export.watched_process import Limits


def test_limits_are_passed_on(tmp_path):
    options = ExportOptions(time_limit=7.0, memory_limit=1.5, int8_io='float32')
    assert conversion_settings(options) == Settings(Limits(7.0, 1_500_000_000), float_io=True)
    assert conversion_settings(ExportOptions()) == Settings(Limits(3600.0, None), float_io=False)


AGAIN = 'and export this format again (--exec_mode=export)'


@pytest.mark.parametrize(
    ('error', 'reason'),
    [
        (PocketFlowError('no room'), 'no room'),
        (KeyError('x\ny'), "KeyError: 'x\\ny'"),
        (
            OSError(errno.EROFS, 'x', '/runs/mine'),
            f'/runs/mine: Read-only file system; make its file system writable, {AGAIN}',
        ),
    ],
)
def test_reasons(error, reason):
    assert reason_of_failure(error) == reason
