"""Whole runs of the program in this process (LeNet at digits, little measuring), and the processor time of tests."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import gc
import io
import itertools
import json
import logging as python_logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from absl import logging

if TYPE_CHECKING:
    from pocketflow.learners.program.command import Command

# The networks of the tests are so small that threads cost more than they save, and pytest-xdist shares the cores
# already. Set before TensorFlow and NumPy are loaded; child processes inherit it.
for _variable in ('TF_NUM_INTRAOP_THREADS', 'TF_NUM_INTEROP_THREADS', 'OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'):
    os.environ.setdefault(_variable, '1')

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
PACKED = '--export_formats=pfz'
"""For runs whose exported file is of no interest: a container needs no converter, and is not timed."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a call of the program left behind."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        return self.out.splitlines()[-1]


def command(*arguments: str) -> Command:
    """The checked command line `main.py ARGUMENTS`."""
    from pocketflow.learners.program.checks import checked_command

    return checked_command(['main.py', *arguments])


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test works in an empty folder and leaves the registry of pairs as it was."""
    from pocketflow.nets import PAIRS

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(PAIRS, '_entries', dict(PAIRS._entries))


def outcome_of(program: Callable[[], int]) -> Outcome:
    """What a program that sets up its own logging prints and returns; the logging is restored afterwards."""
    logger = python_logging.getLogger('absl')
    handlers, propagate, verbosity = logger.handlers, logger.propagate, logging.get_verbosity()
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = program()
    finally:
        logger.handlers, logger.propagate = handlers, propagate
        logging.set_verbosity(verbosity)
    return Outcome(code, out.getvalue(), err.getvalue())


def run_main(*arguments: str) -> Outcome:
    """`python main.py ARGUMENTS`, but in this process."""
    from pocketflow import main  # it loads TensorFlow, which many tests can do without

    return outcome_of(lambda: main.run(['main.py', *map(str, arguments)]))


@pytest.fixture
def run_eagerly() -> Iterator[None]:
    """Runs each `tf.function` eagerly: to trace the training of an agent takes longer than a few dozen steps of it."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


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


SLOWEST = (
    'workers/test_whole_runs.py',
    'scripts/test_benchmarks.py',
    'workers/test_workers.py',
    'learners/test_tasks.py',
    'learners/test_contracts.py',
    'learners/program/test_interrupted_runs.py',
    'learners/program/test_modes.py',
    'learners/program/test_pipeline.py',
    'test_main_heads.py',
    'learners/program/checking/test_check.py',
    'rl_agents/ddpg/test_agent.py',
    'hp_optimizer/optimizers/test_contracts.py',
    'learners/search/test_plan_search.py',
    'rl_agents/ddpg/test_solving.py',
    'scripts/test_run_horovod.py',
)
"""Files to begin with, those first that take longest, so that none of them is left when all else is done."""
TESTS = Path(__file__).parent


def pytest_plugin_registered(plugin_name: str, manager: pytest.PytestPluginManager) -> None:
    """Called for each plugin, those too that were registered before this file was read, such as that of `--cov`."""
    if plugin_name == '_cov' and sys.version_info < (3, 12):
        from tests.measured_lines import MeasuredLines

        manager.register(MeasuredLines())


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config.option, 'loadscopereorder'):
        config.option.loadscopereorder = False  # pytest-xdist would begin with the files that have most tests


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {TESTS / name: place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish() -> None:
    """Takes what TensorFlow has loaded, some million objects, out of each later garbage collection, and makes full
    collections rarer: networks and their graphs are many objects, most of which a test frees at once.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(2000, 10, 50)


MOST_OBJECTS = 100_000


@pytest.fixture(scope='module', autouse=True)
def _young_heap() -> Iterator[None]:
    """After a file whose tests have left many objects, takes these out of later collections, too.

    What stays, such as caches and traced functions, is some million objects in the end, which each full collection
    would look at; and the program itself collects before each trial of a search.
    """
    yield
    if len(gc.get_objects()) > MOST_OBJECTS:
        gc.collect()
        gc.freeze()


def cpu_seconds() -> float:
    """User and system time of this process and of its children that have ended."""
    return sum(os.times()[:4])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        '--cpu-durations',
        type=int,
        metavar='N',
        help='show the N test files and tests that took most processor time, their child processes included (0: all)',
    )


_measured_until = [0.0]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logstart() -> None:
    _measured_until[0] = cpu_seconds()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    now = cpu_seconds()
    report.cpu_seconds = now - _measured_until[0]  # of this phase; pytest-xdist hands it to the process that reports
    _measured_until[0] = now
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    count = config.getoption('--cpu-durations')
    if count is None:
        return
    files, tests = collections.Counter(), collections.Counter()
    for report in itertools.chain.from_iterable(terminalreporter.stats.values()):
        if hasattr(report, 'cpu_seconds'):
            files[report.nodeid.split('::')[0]] += report.cpu_seconds
            tests[report.nodeid] += report.cpu_seconds
    for title, seconds in {'test': tests, 'test file': files}.items():
        terminalreporter.section(f'processor time per {title}')
        for name, value in seconds.most_common(count or None):
            terminalreporter.write_line(f'{value:8.1f} s  {name}')
        terminalreporter.write_line(f'{sum(seconds.values()):8.1f} s  in all {len(seconds)}')
