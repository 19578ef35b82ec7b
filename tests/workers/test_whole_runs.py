"""Whole runs of the program by two, three and four workers on this machine: what they end with, whatever happens."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.workers.launching import QUICK_EXPORT, TASK, launch, needs_horovod

PROGRAM = Path(__file__).with_name('observed_main.py')
EVENTFUL = ('--deterministic', '--nb_epochs_rat=0.1', '--summ_step=20', '--save_step=20', '--grad_compression=ecq')
SHORT = ('--nb_epochs_rat=0.015', '--nb_epochs_rat_ft=0.015')

pytestmark = needs_horovod


def run(folder: Path, *flags: str, event: str = '-', num_workers: int = 2) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    return launch(
        [PROGRAM, folder, event, *TASK, *QUICK_EXPORT, f'--zoo_dir={folder / "zoo"}', *flags],
        folder / 'tmp',
        num_workers,
    )


def endings(folder: Path, num_workers: int) -> list[list]:
    """What the trainings have ended with; all workers must agree."""
    noted = [(folder / f'{rank}.jsonl').read_text().splitlines() for rank in range(num_workers)]
    assert noted == [noted[0]] * num_workers
    return list(map(json.loads, noted[0]))


def run_directory(folder: Path) -> Path:
    """The only one."""
    (path,) = (folder / 'zoo').glob('*/*')
    return path


def test_killed_stopped_and_continued_is_as_uninterrupted(tmp_path: Path):
    whole, eventful = tmp_path / 'whole', tmp_path / 'eventful'
    assert run(whole, *EVENTFUL).returncode == 0
    killed = run(eventful, *EVENTFUL, event='kill:1:40')
    assert time.time() - (eventful / 'killed').stat().st_mtime < 60
    assert killed.returncode == 137 and 'Traceback' not in killed.stderr
    errors = killed.stderr.splitlines()
    assert errors[-1] == 'run_horovod.sh: worker 1 was ended by SIGKILL (exit code 137); the job is over'
    assert any(line.startswith('error: another worker has ended, and this one cannot go on') for line in errors)
    stopped = run(eventful, *EVENTFUL, event='stop:0:80')
    assert stopped.returncode == 143, stopped.stderr
    ended = run(eventful, *EVENTFUL)
    assert ended.returncode == 0, ended.stderr
    steps = re.findall(r'continuing from step (\d+)', (run_directory(eventful) / 'log.txt').read_text())
    assert int(steps[0]) in (20, 40) and 80 <= int(steps[1]) < 130
    assert endings(eventful, 2) == endings(whole, 2)


@pytest.mark.parametrize(
    ('num_workers', 'flags', 'trainings'),
    [
        (
            3,
            ('--learner=chn-pruned-rmt,uniform', '--cpr_nb_smpls=100', '--uql_quant_epochs=0.5'),
            ['0-full-prec', '1-chn-pruned-rmt', '2-uniform'],
        ),
        (
            4,
            ('--learner=full-prec,weight-sparse', '--ws_prune_ratio_prtl=uniform', '--ws_mask_update_step=1'),
            ['1-full-prec', '2-weight-sparse'],
        ),
    ],
)
def test_more_workers_end_alike(num_workers: int, flags: tuple[str, ...], trainings: list[str], tmp_path: Path):
    ended = run(tmp_path / 'runs', *SHORT, *flags, num_workers=num_workers)
    assert ended.returncode == 0, ended.stderr
    assert [label for label, *_ in endings(tmp_path / 'runs', num_workers)] == trainings
    path = run_directory(tmp_path / 'runs')
    assert path.name.endswith(f'-{num_workers}workers')
    assert f'# workers={num_workers}' in (path / 'flags.txt').read_text().splitlines()
