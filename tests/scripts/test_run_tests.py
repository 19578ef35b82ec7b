"""The test command: its steps, their order, and that none of their failures is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import SLOWEST, TESTS

ROOT = Path(__file__).resolve().parents[2]

FAKE_PYTHON = """#!/usr/bin/env bash
shift; line=$(printf '%s|' "$@"); echo "$line"
[[ "$1" != "${FAIL:-}" ]]
"""
FAKE_HOROVOD = """#!/usr/bin/env bash
echo horovod
[[ "${FAIL:-}" != horovod ]]
"""


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A copy of the scripts whose environment and programs only say what they were asked."""
    root = tmp_path / 'a repo'
    shutil.copytree(ROOT / 'scripts', root / 'scripts')
    shutil.copytree(ROOT / '.ci', root / '.ci')
    with (root / 'scripts/lib/env.sh').open('a', encoding='utf-8') as file:
        file.write('ensure_env() { echo "environment|$1"; }\n')
    write_program(root / '.venv/bin/python', FAKE_PYTHON)
    write_program(root / 'scripts/install_horovod.sh', FAKE_HOROVOD)
    return root


def write_program(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding='utf-8')
    file.chmod(0o755)


def run(script: Path, *words: str, fail: str = '') -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ['bash', str(script), *words],
        env={'PATH': os.environ['PATH'], 'FAIL': fail},
        cwd='/',
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_steps_in_order(repo: Path):
    result = run(repo / 'scripts/run_tests.sh', '-k', 'a or b')
    steps = result.stdout.splitlines()
    assert 0 < steps.index('horovod') < 5  # beside the checks
    steps.remove('horovod')
    assert steps == [
        'environment|test',
        'ruff|check|.|',
        'ruff|format|--check|.|',
        f'mypy|--config-file|{repo}/pyproject.toml|',
        'pytest|-n|2|--dist=loadfile|-k|a or b|',
    ]
    assert result.returncode == 0


def test_the_files_to_begin_with_are_there():
    assert len(set(SLOWEST)) == len(SLOWEST)
    assert [name for name in SLOWEST if not (TESTS / name).is_file()] == []


def test_the_ci_runs_the_same_command_with_coverage(repo: Path):
    expected = run(repo / 'scripts/run_tests.sh', '--cov').stdout.splitlines()
    assert sorted(run(repo / '.ci/run').stdout.splitlines()) == sorted(expected)
    assert expected[-1] == 'pytest|-n|2|--dist=loadfile|--cov|'


@pytest.mark.parametrize('step', ['horovod', 'ruff', 'mypy', 'pytest'])
@pytest.mark.parametrize('script', ['scripts/run_tests.sh', '.ci/run'])
def test_a_failed_step_fails_the_command_and_is_its_last(repo: Path, script: str, step: str):
    result = run(repo / script, fail=step)
    assert result.returncode == 1
    steps = [line.split('|')[0] for line in result.stdout.splitlines()]
    assert steps.count(step) == 1
    if step == 'horovod':
        assert 'pytest' not in steps  # the checks go on beside it
    else:
        assert [name for name in steps if name != 'horovod'][-1] == step
