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
def source(tmp_path: Path) -> Path:
    """The edited files of Horovod's source, shortened."""
    xla = 'list(APPEND TF_SOURCES "mpi_ops.cc")\nlist(APPEND TF_SOURCES "xla_mpi_ops.cc")\nend()\n'
    gloo = 'if(HAVE_GLOO)\n    add_subdirectory(third_party/gloo)\n    include_directories(third_party/gloo)\n'
    for name, text in {
        'horovod/tensorflow/CMakeLists.txt': xla,
        'CMakeLists.txt': gloo,
        'setup.py': "config = 'Debug' if debug else 'RelWithDebInfo'\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_three_lines_are_edited_and_no_others(source: Path):
    assert bash(f'edit_source {source}').returncode == 0
    assert (source / 'horovod/tensorflow/CMakeLists.txt').read_text() == (
        'list(APPEND TF_SOURCES "mpi_ops.cc")\nend()\n'
    )
    assert (source / 'CMakeLists.txt').read_text() == (
        'if(HAVE_GLOO)\n'
        '    add_subdirectory(third_party/gloo EXCLUDE_FROM_ALL)\n'
        '    include_directories(third_party/gloo)\n'
    )
    assert (source / 'setup.py').read_text() == "config = 'Debug' if debug else 'Release'\n"


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('horovod/tensorflow/CMakeLists.txt', 'xla_mpi_ops.cc'),
        ('CMakeLists.txt', 'add_subdirectory(third_party/gloo)'),
        ('setup.py', "'RelWithDebInfo'"),
    ],
)
def test_a_source_that_does_not_name_them_once_is_refused(source: Path, name: str, text: str):
    file = source / name
    file.write_text(2 * file.read_text())
    result = bash(f'edit_source {source}')
    assert result.returncode == 1
    assert result.stderr == (
        f'install_horovod.sh: {file}: does not name {text} exactly once; '
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
