"""The script that builds Horovod: what it does before, and instead of, the two minutes of compiling."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / 'scripts/install_horovod.sh'


def bash(commands: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs commands that may use the script's functions; sourcing it must run nothing."""
    return subprocess.run(
        ['bash', '-c', f'source "$SCRIPT"; {commands}', 'install_horovod.sh'],
        text=True,
        env={**os.environ, 'SCRIPT': str(SCRIPT), **env},
        capture_output=True,
        check=False,
    )


@pytest.fixture
def cmake_lists(tmp_path: Path) -> Path:
    file = tmp_path / 'CMakeLists.txt'
    file.write_text('list(APPEND TF_SOURCES "mpi_ops.cc")\nlist(APPEND TF_SOURCES "xla_mpi_ops.cc")\nend()\n')
    return file


def test_one_line_is_dropped_and_no_other(cmake_lists: Path):
    assert bash(f'drop_xla_line {cmake_lists}').returncode == 0
    assert cmake_lists.read_text() == 'list(APPEND TF_SOURCES "mpi_ops.cc")\nend()\n'


def test_a_source_that_does_not_name_the_file_once_is_refused(cmake_lists: Path):
    bash(f'drop_xla_line {cmake_lists}')
    result = bash(f'drop_xla_line {cmake_lists}')
    assert result.returncode == 1
    assert result.stderr == (
        f'install_horovod.sh: {cmake_lists}: does not name xla_mpi_ops.cc exactly once; '
        'this is not the Horovod that constraints.txt pins\n'
    )


@pytest.mark.parametrize('compiler', ['no-such-compiler', 'false'])
def test_a_missing_or_old_compiler_is_named(compiler: str):
    result = bash('check_compiler', CXX=compiler)
    assert result.returncode == 1
    assert result.stderr.startswith(f'install_horovod.sh: {compiler}: no C++17 compiler')
    assert 'apt-get install build-essential' in result.stderr and result.stderr.count('\n') == 1


def test_the_compiler_of_this_machine_is_accepted():
    assert bash('check_compiler').returncode == 0


@pytest.mark.parametrize(('status', 'built'), [(0, ''), (1, 'built\n')])
def test_it_builds_only_what_cannot_be_imported(status: int, built: str):
    result = bash(
        f'ensure_env() {{ :; }}; is_usable() {{ return {status}; }}; '
        'install_horovod() { echo built; }; ensure_horovod'
    )
    assert (result.returncode, result.stdout) == (0, built)
