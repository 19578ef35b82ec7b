"""`--cov` counts the lines that are run in all processes of the tests, and fails below the minimum."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FILES = {
    'measured.py': """
def sign(x):
    y = 0
    if x < y:
        return -1
    return (
        1
    )

def two():
    return 2

def three():
    return 3
""",
    'never_imported.py': 'x = 1\n',
    'omitted/module.py': 'x = 1\n',
    'checks/conftest.py': f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.conftest import pytest_plugin_registered
""",
    'checks/test_one.py': """
import subprocess, sys
import measured, omitted.module

def test_negative():
    assert measured.sign(-3) == -1

def test_child():
    subprocess.run([sys.executable, '-c', 'import measured; measured.two()'], check=True)
""",
    # With two processes, this file goes to the second.
    'checks/test_two.py': """
import measured

def test_positive():
    assert measured.sign(3) == 1
""",
    'pyproject.toml': """
[tool.coverage.run]
source = ['.']
omit = ['checks/*', 'omitted/*']
patch = ['subprocess']
disable_warnings = ['no-data-collected']

[tool.pytest.ini_options]
addopts = ['--import-mode=importlib']
pythonpath = ['.']
testpaths = ['checks']
""",
}


def run(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    outer = ('COVERAGE_', 'COV_', 'PYTEST_')  # what tells this session's children to take part in its own measurement
    return subprocess.run(
        [sys.executable, '-m', 'pytest', '-p', 'no:cacheprovider', '--cov', *words],
        cwd=project,
        env={name: value for name, value in os.environ.items() if not name.startswith(outer)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding='utf-8')
    return tmp_path


def test_eight_of_ten_lines_are_too_few_for_81_percent(project: Path):
    """Not the line of `three`, and not the one file that nobody imports; the line of `two` by a child process."""
    result = run(project, '-n=2', '--dist=loadfile', '--cov-fail-under=81', '--cov-report=term-missing')
    assert (result.returncode, result.stderr) == (1, ''), result.stdout
    rows = [line.split() for line in result.stdout.splitlines() if line.startswith(('measured', 'never', 'TOTAL'))]
    assert rows == [
        ['measured.py', '9', '1', '89%', '14'],
        ['never_imported.py', '1', '1', '0%', '1'],
        ['TOTAL', '10', '2', '80%'],
    ]
    assert 'FAIL Required test coverage of 81% not reached. Total coverage: 80.00%' in result.stdout
