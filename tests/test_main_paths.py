"""Paths and texts of the command line that cannot be used: one line and exit code 2, before anything is trained."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.conftest import TASK, Outcome, run_main

PATHS = (
    '--save_path={} --learner=uniform',
    '--hpo_space={} --learner=uniform',
    '--cpr_save_path_ws={} --cpr_warm_start --learner=chn-pruned-rmt',
    '--ws_prune_plan={} --learner=weight-sparse',
    '--uql_bits_plan={} --learner=uniform',
    '--save_path_dst={} --enbl_dst',
    '--run_dir={}',
    '--zoo_dir={}',
)
"""Flags that name files or folders."""


def assert_one_line(outcome: Outcome, text: str) -> None:
    assert outcome.code == 2, outcome.err
    (line,) = outcome.err.splitlines()
    assert line.startswith('error: ') and text in line and len(line) < 700


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that may not be entered; tests may run as root, whom the system lets in everywhere."""
    folder = tmp_path / 'locked'
    folder.mkdir()

    def refusing(function):
        def refused(path, *rest, **more):
            if str(folder) in str(path):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return function(path, *rest, **more)

        return refused

    for name in ('stat', 'open', 'mkdir', 'glob', 'iterdir'):
        monkeypatch.setattr(Path, name, refusing(getattr(Path, name)))
    return folder


@pytest.mark.parametrize('words', PATHS)
def test_a_folder_without_permission(words: str, locked: Path):
    outcome = run_main(*TASK, *words.format(locked / 'x').split())
    assert_one_line(outcome, str(locked))
    assert 'ermission denied' in outcome.err


@pytest.mark.parametrize('words', PATHS)
def test_a_name_that_is_too_long(words: str, tmp_path: Path):
    assert_one_line(run_main(*TASK, *words.format(tmp_path / ('x' * 300)).split()), 'too long')


@pytest.mark.parametrize('words', PATHS)
def test_a_circle_of_links(words: str, tmp_path: Path):
    (tmp_path / 'circle').symlink_to(tmp_path / 'circle')
    assert_one_line(run_main(*TASK, *words.format(tmp_path / 'circle').split()), 'circle')


@pytest.mark.parametrize('words', PATHS)
def test_a_name_that_is_no_text(words: str):
    assert_one_line(run_main(*TASK, *words.format('caf\udce9').split()), 'caf\\udce9: is no UTF-8 text; rename')


@pytest.mark.parametrize('path', ['locked', 'x' * 300, 'circle', 'caf\udce9'])
def test_a_model_helper(path: str, locked: Path, tmp_path: Path):
    (tmp_path / 'circle.py').symlink_to(tmp_path / 'circle.py')
    given = tmp_path / f'{path}/x.py' if path == 'locked' else tmp_path / f'{path}.py'
    assert_one_line(run_main(f'--model_helper={given}'), '')


def test_nul_in_a_flag_file(tmp_path: Path):
    (tmp_path / 'flags').write_bytes(b'--model=lenet\n--dataset=digits\n--run_dir=a\0b\n')
    assert_one_line(run_main(f'--flagfile={tmp_path / "flags"}'), '--run_dir=a\\x00b: holds a NUL character')


def test_a_flag_file_of_nothing_but_nul(tmp_path: Path):
    (tmp_path / 'flags').write_bytes(b'\0' * 4096)
    outcome = run_main(*TASK, f'--flagfile={tmp_path / "flags"}')
    assert outcome.code == 2 and 'Traceback' not in outcome.err


def test_a_yaml_file_that_is_nested_too_deep(tmp_path: Path):
    (tmp_path / 'space.yaml').write_text('parameters: ' + '[' * 3000 + ']' * 3000)
    assert_one_line(run_main(*TASK, '--learner=uniform', f'--hpo_space={tmp_path / "space.yaml"}'), 'is not YAML')
