"""The launcher: from the user's words to main.py's, and when it makes or renews its environment."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Stands in for Python: writes down its arguments, makes a `.venv` of itself, fails when told to.
FAKE_PYTHON = """#!/usr/bin/env bash
printf '%s|' "$@" >>"$FAKE_LOG"; echo >>"$FAKE_LOG"
case "$*" in
  *version_info*) exit "${FAKE_VERSION_STATUS:-0}" ;;
  *ensurepip*) exit "${FAKE_VENV_STATUS:-0}" ;;
  '-m venv '*) mkdir -p "${@: -1}/bin"; cp "$0" "${@: -1}/bin/python" ;;
  '-m pip '*) exit "${FAKE_PIP_STATUS:-0}" ;;
  '-m compileall '*) exit "${FAKE_COMPILE_STATUS:-0}" ;;
  */main.py*) shift; printf '%s\\n' "$@"; exit "${FAKE_MAIN_STATUS:-0}" ;;
esac
"""


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A copy of the scripts in a folder whose path has blanks, with a stand-in for Python beside it."""
    root = tmp_path / 'a repo'
    shutil.copytree(ROOT / 'scripts', root / 'scripts')
    for name in ('setup.py', 'constraints.txt'):
        shutil.copy(ROOT / name, root / name)
    fake = tmp_path / 'fake python'
    fake.write_text(FAKE_PYTHON, encoding='utf-8')
    fake.chmod(0o755)
    return root


def run_local(
    repo: Path, *words: str, cwd: Path | None = None, shell: str = 'bash', **env: str
) -> subprocess.CompletedProcess[str]:
    settings = {
        'PATH': os.environ['PATH'],
        'PYTHON': str(repo.parent / 'fake python'),
        'FAKE_LOG': str(repo.parent / 'log'),
        **env,
    }
    return subprocess.run(
        [shell, str(repo / 'scripts/run_local.sh'), *words],
        cwd=cwd or repo,
        env=settings,
        capture_output=True,
        text=True,
        check=False,
    )


def main_args(repo: Path, *words: str, **options) -> list[str]:
    """What main.py would be given."""
    shown = run_local(repo, *words, POCKETFLOW_DRY_RUN='1', **options)
    assert shown.returncode == 0, shown.stderr
    python, script, *rest = shown.stdout.splitlines()
    assert (python, script) == (str(repo / '.venv/bin/python'), str(repo / 'main.py'))
    return rest


def installs(repo: Path) -> list[str]:
    """The installations of the dependencies."""
    calls = (repo.parent / 'log').read_text().splitlines()
    return [line for line in calls if line.startswith('-m|pip|install') and '|-e|' in line]


def assert_refused(result: subprocess.CompletedProcess[str], status: int, text: str) -> None:
    assert result.returncode == status
    assert text in result.stderr and result.stderr.count('\n') == 1
    assert result.stdout == ''


def test_without_arguments_it_is_the_quickstart(repo: Path):
    assert main_args(repo) == [f'--flagfile={repo}/scripts/flags/quickstart.flags']
    assert main_args(repo, '-n=1') == [f'--flagfile={repo}/scripts/flags/quickstart.flags']


@pytest.mark.parametrize(
    ('script', 'flags'),
    [
        ('nets/resnet_at_cifar10_run.py', ['--model=resnet', '--dataset=cifar10']),
        ('./nets/resnet_at_cifar10_run.py', ['--model=resnet', '--dataset=cifar10']),
        ('nets/resnet_at_cifar10.py', ['--model=resnet', '--dataset=cifar10']),
        ('/elsewhere/nets/mobilenet_v2_at_ilsvrc12_run.py', ['--model=mobilenet_v2', '--dataset=ilsvrc12']),
        ('examples/convnet_at_fmnist_run.py', ['--model_helper=examples/convnet_at_fmnist.py']),
        ('examples/mine.py', ['--model_helper=examples/mine.py']),
        ('/my nets.d/mine.py', ['--model_helper=/my nets.d/mine.py']),
    ],
)
def test_the_first_word_may_be_a_script(repo: Path, script: str, flags: list[str]):
    assert main_args(repo, script) == flags
    assert main_args(repo, '-n=1', script, '--learner', 'uniform') == [*flags, '--learner', 'uniform']


def test_a_helper_is_the_callers_file_or_else_the_repositorys(repo: Path, tmp_path: Path):
    ours, theirs = repo / 'examples/mine.py', tmp_path / 'there/examples/mine.py'
    for file in (ours, theirs):
        file.parent.mkdir(parents=True)
        file.touch()
    assert main_args(repo, 'examples/mine.py', cwd=theirs.parents[1]) == ['--model_helper=examples/mine.py']
    theirs.unlink()
    assert main_args(repo, 'examples/mine.py', cwd=theirs.parents[1]) == [f'--model_helper={ours}']
    assert main_args(repo, 'examples/mine_run.py', cwd=theirs.parents[1]) == [f'--model_helper={ours}']


def test_a_file_that_is_named_like_an_original_script_is_taken_as_it_is(repo: Path):
    (repo / 'trial_run.py').touch()
    assert main_args(repo, 'trial_run.py') == ['--model_helper=trial_run.py']


def test_a_command_comes_first(repo: Path):
    assert main_args(repo, '-n=1', 'export', '--run_dir=a b') == ['export', '--run_dir=a b']


@pytest.mark.parametrize(
    'script',
    [
        'nets/resnet_cifar10_run.py',
        'nets/_at_cifar10_run.py',
        'nets/resnet_at_.py',
        'nets/a b_at_c_run.py',
        'nets/resnet_at_cifar10_run',
        'nets/resnet.py',
        'Resnet',
        'notes.txt',
        '',
    ],
)
def test_a_malformed_script_is_refused(repo: Path, script: str):
    assert_refused(run_local(repo, script), 2, f"run_local.sh: '{script}' is not nets/MODEL_at_DATASET_run.py (a pair)")


@pytest.mark.parametrize(
    'words',
    [
        ['--learner=full-prec,weight-sparse', '--save_path', '/a b/model'],
        ['--note=it\'s "5 $HOME" * \\', '', '-v', 'nets/resnet_at_cifar10_run.py', '@x', '--', '-'],
        ['--flagfile=flags of mine/*.flags'],
    ],
)
def test_other_words_pass_unchanged(repo: Path, words: list[str]):
    assert main_args(repo, *words) == words


@pytest.mark.parametrize('word', ['-n=1', '--nb_gpus=1'])
def test_one_worker_is_accepted_anywhere(repo: Path, word: str):
    assert main_args(repo, '--learner=uniform', word, '--seed=3') == ['--learner=uniform', '--seed=3']


@pytest.mark.parametrize('word', ['-n=4', '--nb_gpus=4'])
def test_several_workers_need_another_launcher(repo: Path, word: str):
    assert_refused(
        run_local(repo, word, '--seed=3'),
        2,
        '-n=4: one worker is started here; several workers need scripts/run_horovod.sh',
    )


@pytest.mark.parametrize('word', ['-n', '-n=', '-n=0', '-n=two', '--nb_gpus=-1', '--nb_gpus=1.5'])
def test_a_wrong_number_of_workers_is_refused(repo: Path, word: str):
    assert_refused(run_local(repo, word), 2, f'{word}: the number of workers is a whole number >= 1')


def test_plain_sh_starts_it_too(repo: Path):
    given = main_args(repo, 'nets/lenet_at_cifar10_run.py', shell='sh')
    assert given == ['--model=lenet', '--dataset=cifar10']


def test_a_dry_run_installs_nothing(repo: Path):
    main_args(repo)
    assert not (repo / '.venv').exists()


def test_the_program_gets_its_words_and_gives_its_exit_code(repo: Path, tmp_path: Path):
    result = run_local(repo, '--note=a  b', '', cwd=tmp_path, FAKE_MAIN_STATUS='143')
    assert (result.returncode, result.stdout) == (143, '--note=a  b\n\n')


def test_the_second_call_does_not_install_again(repo: Path):
    first, second = run_local(repo), run_local(repo)
    assert (first.returncode, second.returncode) == (0, 0)
    assert 'Installing' in first.stderr and second.stderr == ''
    assert installs(repo) == [installs(repo)[0]]
    assert f'|--no-compile|-c|{repo}/constraints.txt|-e|{repo}|' in installs(repo)[0]


def test_a_new_environment_gets_the_pinned_pip_first(repo: Path):
    run_local(repo)
    calls = (repo.parent / 'log').read_text().splitlines()
    upgrade = f'-m|pip|install|--disable-pip-version-check|--upgrade|-c|{repo}/constraints.txt|pip|'
    assert calls.count(upgrade) == 1
    assert calls.index(upgrade) < calls.index(installs(repo)[0])


def test_what_was_installed_is_compiled_even_in_part(repo: Path):
    result = run_local(repo, '--seed=1', FAKE_COMPILE_STATUS='1')
    assert (result.returncode, result.stdout) == (0, '--seed=1\n')
    calls = (repo.parent / 'log').read_text().splitlines()
    (compiled,) = [place for place, call in enumerate(calls) if call.startswith('-m|compileall|')]
    assert calls[compiled - 1] == installs(repo)[0] and calls[compiled].endswith(f'|{repo}/.venv/lib|')


@pytest.mark.parametrize('name', ['setup.py', 'constraints.txt'])
def test_a_changed_dependency_is_installed_into_the_same_environment(repo: Path, name: str):
    run_local(repo)
    (repo / '.venv/mine').touch()
    with (repo / name).open('a') as file:
        file.write('# changed\n')
    assert 'Installing' in run_local(repo).stderr
    assert len(installs(repo)) == 2
    assert (repo / '.venv/mine').exists()
    assert run_local(repo).stderr == ''


def test_an_install_that_failed_or_broke_off_is_done_again(repo: Path):
    run_local(repo)
    (repo / 'constraints.txt').write_text('six==1.17.0\n')
    failed = run_local(repo, FAKE_PIP_STATUS='1')
    assert failed.returncode == 1 and 'could not be installed' in failed.stderr and failed.stdout == ''
    assert list((repo / '.venv').glob('.installed*')) == []
    assert 'Installing' in run_local(repo).stderr


def test_a_moved_repository_is_installed_again(repo: Path):
    run_local(repo)
    moved = repo.rename(repo.parent / 'moved repo')
    assert 'Installing' in run_local(moved).stderr


def test_an_environment_without_pip_is_made_anew(repo: Path):
    broken = repo / '.venv/bin/python'
    broken.parent.mkdir(parents=True)
    broken.write_text('#!/bin/sh\nexit 1\n')
    broken.chmod(0o755)
    assert run_local(repo, '--seed=1').stdout == '--seed=1\n'


def test_a_missing_or_old_interpreter_is_named(repo: Path):
    assert_refused(run_local(repo, PYTHON='python9'), 1, 'python9: not found; install Python 3.10 or newer')
    assert_refused(run_local(repo, FAKE_VERSION_STATUS='1'), 1, 'too old; needs Python 3.10 or newer')


def test_a_missing_venv_module_says_what_to_install(repo: Path):
    assert_refused(run_local(repo, FAKE_VENV_STATUS='1'), 1, 'apt-get install python3-venv')
    assert not (repo / '.venv').exists()
