"""Whole runs of the program in this process: LeNet at digits for one epoch, with little measuring."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import logging as python_logging
from pathlib import Path

import pytest
from absl import logging

TASK = ('--model=lenet', '--dataset=digits')
QUICK = (
    '--nb_epochs_rat=0.015',
    '--nb_smpls_export_eval=50',
    '--nb_repts=5',
    '--nb_repts_warmup=1',
    '--nb_smpls_calib=20',
)
PRUNING = ('--learner=chn-pruned-rmt', '--cpr_nb_smpls=100', '--nb_epochs_rat_ft=0.015')
ONE_FILE = '--export_formats=float32'


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a call of the program left behind."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        return self.out.splitlines()[-1]


def run_main(*arguments: str) -> Outcome:
    """`python main.py ARGUMENTS`, but in this process."""
    from pocketflow import main  # it loads TensorFlow, which many tests can do without

    logger = python_logging.getLogger('absl')
    handlers, propagate, verbosity = logger.handlers, logger.propagate, logging.get_verbosity()
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main.run(['main.py', *map(str, arguments)])
    finally:
        logger.handlers, logger.propagate = handlers, propagate
        logging.set_verbosity(verbosity)
    return Outcome(code, out.getvalue(), err.getvalue())


def metric_lines(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / 'metrics.jsonl').read_text().splitlines()]


@dataclasses.dataclass(frozen=True)
class FinishedRun:
    """A finished run of the whole program."""

    arguments: tuple[str, ...]
    path: Path
    outcome: Outcome

    @property
    def report(self) -> dict:
        return json.loads((self.path / 'report.json').read_text())


def finished_run(zoo: Path, *arguments: str) -> FinishedRun:
    """Runs the program with its default run directory, below `zoo`."""
    arguments = (*TASK, *QUICK, *arguments, f'--zoo_dir={zoo}')
    before = set(zoo.glob('*/*'))
    outcome = run_main(*arguments)
    assert outcome.code == 0, outcome.err
    (path,) = set(zoo.glob('*/*')) - before
    return FinishedRun(arguments, path, outcome)


@pytest.fixture(scope='session')
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """`full-prec`, in a zoo of its own (the folder two above). To be read only."""
    return finished_run(tmp_path_factory.mktemp('zoo'), ONE_FILE)


@pytest.fixture(scope='session')
def pruned_run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """`chn-pruned-rmt` in an empty zoo, so that it trains its baseline itself. To be read only."""
    return finished_run(tmp_path_factory.mktemp('empty_zoo'), *PRUNING)
