"""What a call makes of a run directory that was damaged, is full, or holds what a killed process has left."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from pocketflow.learners.program import modes
from pocketflow.utils.distributed.multi_gpu_wrapper import Alone
from pocketflow.utils.runs.run_directory import RunDirectory
from tests.conftest import PACKED, QUICK, TASK, FinishedRun, metric_lines, run_main

STAGE = '1-chn-pruned-rmt'


def copy_of(run: FinishedRun, folder: Path, *without: str) -> Path:
    """A copy of a finished run that lacks some files."""
    path = Path(shutil.copytree(run.path, folder / 'run'))
    for name in without:
        (path / name).unlink()
    return path


def flip(path: Path) -> None:
    """Changes one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


RECORDS = {
    'report.json': ((), b'\0' * 300, 'it holds no text); ' + modes.EXPORT_ANEW),
    'inputs.json': ((), b'[' * 100_000, 'it is nested too deep); delete it if the files that the flags name are'),
    'data.txt': ((), b'\x89PNG', 'damaged record; delete it if the training data are the same'),
    f'{STAGE}/result.json': (('report.json',), b'{"metrics_compressed": {', 'delete it, and the same command finishes'),
    f'{STAGE}/compressed.json': (('report.json', f'{STAGE}/result.json'), b'null', 'not an object); delete '),
    'baseline/metrics.json': (
        ('report.json',),
        b'{"loss": "low"}',
        'loss is "low", not a number); delete it to have the',
    ),
    'seconds.json': (('report.json',), b'{"export": "long"}', 'export is "long", not a finite number >= 0); delete it'),
}


@pytest.mark.parametrize('name', RECORDS)
def test_a_damaged_record_is_named_with_what_to_delete(pruned_run, tmp_path, name):
    without, content, message = RECORDS[name]
    run = copy_of(pruned_run, tmp_path, *without)
    (run / name).write_bytes(content)
    outcome = run_main(*pruned_run.arguments, f'--run_dir={run}')
    error = outcome.err.splitlines()[-1]
    assert outcome.code == 1 and outcome.out == '' and 'Traceback' not in outcome.err
    assert error.startswith(f'error: {run / name}: damaged record') and message in error
    assert (run / name).read_bytes() == content


def test_a_report_that_is_shown_again_says_which_files_are_no_longer_its_own(pruned_run, tmp_path):
    run = copy_of(pruned_run, tmp_path)
    (run / 'model.keras').unlink()
    flip(run / 'baseline' / 'model.keras')
    (run / 'model_int8.tflite').write_bytes(b'x')
    outcome = run_main(*pruned_run.arguments, f'--run_dir={run}')
    assert outcome.code == 0 and outcome.last_line == pruned_run.outcome.last_line
    warning = next(line for line in outcome.err.splitlines() if 'model.keras' in line)
    assert f'{run}: model.keras is gone, model_int8.tflite is damaged (1 of ' in warning
    assert 'baseline/model.keras is damaged (' in warning and warning.endswith(modes.EXPORT_ANEW)


def test_models_that_are_gone_or_damaged_say_what_to_delete_and_come_back(trained_run, tmp_path):
    run, model = copy_of(trained_run, tmp_path), tmp_path / 'run' / '1-full-prec' / 'model.keras'
    content = (run / 'model.keras').read_bytes()
    for mode in ('eval', 'export', 'benchmark'):
        (run / 'model.keras').unlink(missing_ok=True)
        outcome = run_main(f'--exec_mode={mode}', f'--run_dir={run}')
        assert (outcome.code, outcome.err) == (1, f'error: {run}/model.keras: is gone; {modes.EXPORT_ANEW}\n')
    (run / 'report.json').unlink()
    flip(model)
    outcome = run_main(*trained_run.arguments, f'--run_dir={run}')
    error = outcome.err.splitlines()[-1]
    assert outcome.code == 1 and error.startswith(f'error: {model}: is damaged (')
    assert error.endswith(f'; delete {model.with_name("result.json")} to finish the stage again')
    model.with_name('result.json').unlink()
    outcome = run_main(*trained_run.arguments, f'--run_dir={run}')
    assert outcome.code == 0 and '1-full-prec step ' not in outcome.err, outcome.err  # the checkpoint holds all
    assert len((run / 'model.keras').read_bytes()) == len(content)


def test_nothing_is_written_outside_of_the_run(trained_run, tmp_path, monkeypatch):
    run, made, mkdtemp = copy_of(trained_run, tmp_path, 'report.json'), [], tempfile.mkdtemp
    (run / 'tmp-worker-0' / 'tmpabc').mkdir(parents=True)  # of a killed process

    def watched(*args, **kwargs):
        made.append(Path(mkdtemp(*args, **kwargs)))
        return str(made[-1])

    monkeypatch.setattr(tempfile, 'mkdtemp', watched)
    outcome = run_main(*trained_run.arguments, f'--run_dir={run}')
    assert outcome.code == 0, outcome.err
    assert made and all(path.is_relative_to(run / 'tmp-worker-0') for path in made)
    assert not list(run.glob('tmp-*'))


class Second(Alone):
    """Worker 1 of two, before the primary has finished."""

    rank, size = 1, 2

    def share(self, make):
        return False


@pytest.mark.parametrize('has_own_disk', [True, False])
def test_another_worker_keeps_its_files_in_the_run_directory_and_removes_them(tmp_path, monkeypatch, has_own_disk):
    used = []

    def learn(invocation):
        used.append(invocation.run.path)
        Path(tempfile.mkdtemp(), 'part').write_text('x')

    @dataclasses.dataclass
    class Call:
        run: RunDirectory
        workers: Alone

    monkeypatch.setattr(modes, '_run_learners', learn)
    run = RunDirectory(tmp_path / 'run')
    if not has_own_disk:
        run.acquire(['--a=1'])
    modes.run_secondary_worker(Call(run, Second()))
    assert used == [run.path / 'tmp-worker-1'] and not used[0].exists()
    assert run.path.exists() != has_own_disk
    run.release()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own that has room for little; `small_disk(KILOBYTES)` gives it another size."""
    folder = tmp_path / 'disk'
    folder.mkdir()

    def mount(kilobytes: int, *options: str) -> Path:
        arguments = ['-t', 'tmpfs', '-o', ','.join([f'size={kilobytes}k', *options]), 'tmpfs', folder]
        made = subprocess.run(['mount', *arguments], capture_output=True, text=True, check=False)
        if made.returncode:
            pytest.skip(f'no file system can be mounted here: {made.stderr.strip()}')
        return folder

    try:
        mount(1)
    except FileNotFoundError:
        pytest.skip('no file system can be mounted here: there is no command "mount"')
    yield lambda kilobytes: mount(kilobytes, 'remount')
    subprocess.run(['umount', '--lazy', folder], check=True)


def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(small_disk, tmp_path):
    folder = small_disk(2000)  # enough for the first checkpoint, but not for the second
    arguments = (
        *TASK,
        *QUICK,
        PACKED,
        '--save_step=10',
        '--summ_step=5',
        f'--zoo_dir={tmp_path}/zoo',
        f'--run_dir={folder}/run',
    )
    outcome = run_main(*arguments)
    error = outcome.err.splitlines()[-1]
    assert outcome.code == 1 and 'Traceback' not in outcome.err
    assert error.startswith(f'error: {folder}/run/') and ': No space left on device; make room there: the same' in error
    small_disk(20_000)
    outcome = run_main(*arguments)
    assert outcome.code == 0, outcome.err
    assert '1-full-prec: continuing from step 10' in outcome.err
    steps = [line['step'] for line in metric_lines(folder / 'run')]
    assert steps[:-1] == list(range(5, steps[-1], 5))  # nothing twice, nothing left out
    assert not [*folder.rglob('*temp*'), *folder.rglob('*tmp*')]
