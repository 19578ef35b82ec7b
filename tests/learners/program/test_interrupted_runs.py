"""Runs that are killed or interrupted, and continued: they end as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras
from tensorflow.python.framework.config import disable_op_determinism

from pocketflow.utils.system.progress import Progress
from tests.conftest import ONE_FILE, PRUNING, QUICK, TASK, metric_lines, run_main

ROOT = Path(__file__).resolve().parents[3]

LONGER = (
    *TASK,
    *QUICK,
    *PRUNING,
    ONE_FILE,
    '--nb_epochs_rat=0.15',
    '--nb_epochs_rat_ft=0.15',
    '--deterministic',
    '--compute_dtype=float32',
    '--summ_step=20',
    '--save_step=60',
    '--zoo_dir=/nonexistent',
)


KILLED = (
    (signal.SIGKILL, -9, '0-full-prec step 80/'),
    (signal.SIGTERM, 143, '0-full-prec step 120/'),
    (signal.SIGKILL, -9, '1-chn-pruned-rmt step 120/'),
)
"""The signals to one run after the other, the exit codes, and the log lines at which they are sent."""


def kill(command: list[str | Path], signum: int, phrase: str) -> tuple[int, str]:
    """Starts the program, sends a signal when a log line holds `phrase`, and returns exit code and log."""
    log = ''
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            log += line
            if phrase in line:
                process.send_signal(signum)
                break
        log += process.stderr.read()
    return process.returncode, log


@pytest.fixture
def _as_before():
    """`--deterministic` is of the whole process."""
    yield
    disable_op_determinism()


@pytest.mark.usefixtures('_as_before')
def test_killed_and_continued_is_as_good_as_never_stopped(tmp_path):
    """Killed in processes of its own; the runs that end are in this one."""
    run, uninterrupted = tmp_path / 'run', tmp_path / 'uninterrupted'
    for number, (signum, code, phrase) in enumerate(KILLED):
        returned, log = kill([sys.executable, 'main.py', *LONGER, f'--run_dir={run}'], signum, phrase)
        assert returned == code and 'Traceback' not in log
        assert (code == 143) == ('stopped by SIGTERM; the same command continues from here' in log)
        assert number == 0 or f'{KILLED[number - 1][2].split()[0]}: continuing from step' in log
        assert not (run / 'report.json').exists()
    continued = run_main(*LONGER, f'--run_dir={run}')
    assert continued.code == 0, continued.err
    assert '1-chn-pruned-rmt: continuing from step' in continued.err
    assert run_main(*LONGER, f'--run_dir={uninterrupted}').code == 0
    one, other = (keras.models.load_model(path / 'model.keras', compile=False) for path in (run, uninterrupted))
    for left, right in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    steps, whole = ([(line['stage'], line['step']) for line in metric_lines(path)] for path in (run, uninterrupted))
    assert steps == whole
    assert not list(run.rglob('.tmp-*'))


def test_interrupted_from_the_keyboard(tmp_path, monkeypatch):
    report = Progress.report

    def interrupted(self, *args):
        os.kill(os.getpid(), signal.SIGINT)
        report(self, *args)

    arguments = (*TASK, *QUICK, ONE_FILE, '--summ_step=10', f'--run_dir={tmp_path}/run')
    monkeypatch.setattr(Progress, 'report', interrupted)
    outcome = run_main(*arguments)
    assert outcome.code == 130 and 'stopped by SIGINT' in outcome.err
    assert (tmp_path / 'run' / '1-full-prec' / 'checkpoints' / 'ckpt-10.index').exists()
    monkeypatch.undo()
    assert run_main(*arguments).code == 0
    steps = [line['step'] for line in metric_lines(tmp_path / 'run')]
    assert len(steps) > 2 and steps[:-1] == list(range(10, steps[-1], 10))  # nothing twice, nothing left out
