"""The way from arguments to a checked command."""

from __future__ import annotations

import pytest

from pocketflow.learners.program.preparing import prepared_command
from pocketflow.utils.errors import UsageError
from tests.conftest import TASK

pytestmark = pytest.mark.usefixtures('own_folder')


def test_files_that_flags_name_must_be_there(tmp_path):
    with pytest.raises(UsageError, match='--save_path=missing.keras: no saved model there'):
        prepared_command(['main.py', *TASK, '--learner=uniform', '--save_path=missing.keras'])
    command = prepared_command(['main.py', *TASK, '--learner=uniform'])
    assert command.learner_names == ['uniform'] and not list(tmp_path.iterdir())
