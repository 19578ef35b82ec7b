"""What a command needs and is not there is refused before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketflow.learners.program.checks import checked_command
from pocketflow.learners.program.needed_files import refuse_missing_files
from pocketflow.utils.errors import UsageError
from tests.conftest import TASK

CIFAR10 = ('--model=lenet', '--dataset=cifar10')


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((*TASK, '--learner=uniform', '--save_path=none.keras'), '--save_path=none.keras: no saved model there'),
        (
            (*TASK, '--learner=uniform', '--uql_bits_plan=none.json'),
            '--uql_bits_plan: cannot read the compression plan',
        ),
        ((*TASK, '--learner=uniform', '--batch_size_ft=5000'), '--batch_size_ft=5000: must be at most 1437'),
        ((*TASK, '--exec_mode=eval'), 'no finished model at '),
        ((*TASK, '--exec_mode=export', '--device_latency=int8=none.txt'), '--device_latency: int8=none.txt: cannot be'),
        ((*CIFAR10, '--data_dir_local=none'), '--data_dir_local=none: there is no such folder'),
    ],
)
def test_what_is_missing_is_named(arguments, message):
    with pytest.raises(UsageError, match=f'^{message}'):
        refuse_missing_files(checked_command(['main.py', *arguments]))


def test_several_workers_have_files_of_their_own():
    refuse_missing_files(checked_command(['main.py', *CIFAR10, '--data_dir_local=none', '--enbl_multi_gpu']))


def test_addresses_of_data_are_left_to_tensorflow():
    checked_command(['main.py', *CIFAR10, '--data_dir_local=gs://bucket/data']).data_options().refuse_missing()
    Path('data').mkdir()
    checked_command(['main.py', *CIFAR10, '--data_dir_local=data']).data_options().refuse_missing()
