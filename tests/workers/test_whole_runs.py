"""Whole runs of the program by two and three workers on this machine: what they end with, whatever happens."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

from tests.workers.launching import QUICK_EXPORT, TASK, launch, needs_horovod

PROGRAM = Path(__file__).with_name('observed_main.py')
EVENTFUL = ('--deterministic', '--nb_epochs_rat=0.1', '--summ_step=20', '--save_step=20', '--grad_compression=ecq')
CHAIN = ('--learner=chn-pruned-rmt,uniform', '--cpr_nb_smpls=100', '--uql_quant_epochs=0.5', '--grad_compression=ecq')
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


def test_three_workers_end_alike_and_the_primary_alone_writes(tmp_path: Path):
    """A chain of learners, each of which trains; then two workers export what three have made."""
    ended = run(tmp_path, *SHORT, *CHAIN, num_workers=3)
    assert ended.returncode == 0, ended.stderr
    assert [label for label, *_ in endings(tmp_path, 3)] == ['0-full-prec', '1-chn-pruned-rmt', '2-uniform']
    path = run_directory(tmp_path)
    assert path.name.endswith('-3workers')
    assert '# workers=3' in (path / 'flags.txt').read_text().splitlines()
    report = json.loads((path / 'report.json').read_text())
    assert [stage['learner'] for stage in report['stages']] == ['chn-pruned-rmt', 'uniform']
    exported = run(tmp_path, f'--run_dir={path}', '--exec_mode=export', '--export_formats=float16')
    assert exported.returncode == 0, exported.stderr
    assert (path / 'model.pfz').exists() and (path / 'model_float16.tflite').exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ['0.jsonl', '1.jsonl', '2.jsonl', 'tmp', 'zoo']
    assert not list((tmp_path / 'tmp').iterdir())
    for one in ended, exported:
        assert '[1]' not in one.stderr and 'Traceback' not in one.stderr
