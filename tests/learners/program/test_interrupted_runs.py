"""Runs that are killed or interrupted, and continued: they end as if nothing had happened."""

from __future__ import annotations

import collections
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras
from tensorflow.python.framework.config import disable_op_determinism

from pocketflow.learners.channel_pruning_rmt.learner import ChannelPrunedRmtLearner
from pocketflow.learners.program.pipeline import Pipeline
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.models.files import load_model, save_model
from pocketflow.utils.runs import model_reader
from pocketflow.utils.system.progress import Progress
from tests.conftest import PACKED, PRUNING, QUICK, TASK, metric_lines, run_main

ROOT = Path(__file__).resolve().parents[3]

LONGER = (
    *TASK,
    *QUICK,
    *PRUNING,
    PACKED,
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

    arguments = (*TASK, *QUICK, PACKED, '--summ_step=10', f'--run_dir={tmp_path}/run')
    monkeypatch.setattr(Progress, 'report', interrupted)
    outcome = run_main(*arguments)
    assert outcome.code == 130 and 'stopped by SIGINT' in outcome.err
    assert (tmp_path / 'run' / '1-full-prec' / 'checkpoints' / 'ckpt-10.index').exists()
    monkeypatch.undo()
    assert run_main(*arguments).code == 0
    steps = [line['step'] for line in metric_lines(tmp_path / 'run')]
    assert len(steps) > 2 and steps[:-1] == list(range(10, steps[-1], 10))  # nothing twice, nothing left out


class Counts:
    """How often each file of a model is read, and how often the model to compress is evaluated."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.read, self.evaluated, self._is_obtaining = collections.Counter(), 0, False
        obtain, eval_set = Pipeline.trained_model, AbstractModelHelper.build_dataset_eval

        def read(path: Path) -> keras.Model:
            self.read[path.as_posix()] += 1
            return load_model(path)

        def obtained(pipeline: Pipeline) -> tuple[keras.Model, dict[str, float]]:
            self._is_obtaining = True
            try:
                return obtain(pipeline)
            finally:
                self._is_obtaining = False

        def evaluated(helper: AbstractModelHelper):
            self.evaluated += self._is_obtaining
            return eval_set(helper)

        monkeypatch.setattr(model_reader, 'load_model', read)
        monkeypatch.setattr(Pipeline, 'trained_model', obtained)
        monkeypatch.setattr(AbstractModelHelper, 'build_dataset_eval', evaluated)

    def taken(self) -> tuple[dict[str, int], int]:
        """The counts since the last call."""
        counts = dict(self.read), self.evaluated
        self.read.clear()
        self.evaluated = 0
        return counts


def run_at(folder: Path) -> tuple[list[str], list[np.ndarray], dict[str, float]]:
    """Names of the layers and weights of a run's result, and the metrics of the model that it began with."""
    model, report = load_model(folder / 'model.keras'), json.loads((folder / 'report.json').read_text())
    return [layer.name for layer in model.layers], model.get_weights(), report['baseline']['metrics']


@pytest.mark.usefixtures('_as_before')
def test_a_given_network_is_read_and_evaluated_once(trained_run, tmp_path, monkeypatch):
    given = keras.Sequential([load_model(trained_run.path / 'model.keras'), keras.layers.Softmax()])
    save_model(given, tmp_path / 'given.keras')
    counts = Counts(monkeypatch)
    command = (*TASK, *QUICK, *PRUNING, PACKED, f'--save_path={tmp_path}/given.keras', '--deterministic')
    whole, continued = tmp_path / 'whole', tmp_path / 'continued'
    assert run_main(*command, f'--run_dir={whole}').code == 0
    assert counts.taken() == ({f'{tmp_path}/given.keras': 1}, 1)

    def fail(*_, **__) -> None:
        raise PocketFlowError('the process was stopped')

    with monkeypatch.context() as patch:
        patch.setattr(ChannelPrunedRmtLearner, 'compress', fail)
        assert run_main(*command, f'--run_dir={continued}').code == 1
    counts.taken()
    assert run_main(*command, f'--run_dir={continued}').code == 0
    assert counts.taken() == ({f'{continued}/baseline/model.keras': 1}, 0)
    (names, weights, metrics), (others, other_weights, other_metrics) = run_at(whole), run_at(continued)
    assert (names, metrics) == (others, other_metrics)
    for one, other in zip(weights, other_weights, strict=True):
        np.testing.assert_array_equal(one, other)

    (whole / 'baseline' / 'metrics.json').unlink()  # as in a run of a version that did not record them
    (whole / 'report.json').unlink()
    assert run_main(*command, f'--run_dir={whole}').code == 0
    assert counts.taken() == ({f'{whole}/baseline/model.keras': 1}, 1)
    assert run_at(whole)[2] == metrics
