"""The mode benchmark: times the `.tflite` files of a finished run, alternating between them."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import logging

from pocketflow.learners.program.baseline import BASELINE_FOLDER
from pocketflow.learners.program.conversions import conversion_settings
from pocketflow.learners.program.invocation import Invocation
from pocketflow.learners.program.pipeline import load_fitting_model
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.export.isolated import isolated_conversions
from pocketflow.utils.export.latency import Timing, time_alternating
from pocketflow.utils.export.litert_tool import COMPARABLE_MS, NOT_THERE, is_there, median_ms
from pocketflow.utils.export.runner import LiteRtRunner, num_usable_threads
from pocketflow.utils.export.signature import ONLY_INPUT, named_inputs
from pocketflow.utils.reports.report import format_table
from pocketflow.utils.system.streams import say
from pocketflow.utils.tasks.nests import Nest, take

NUM_TURNS = 3
"""Turns of the comparison with LiteRT's own tool."""


def benchmark_run(invocation: Invocation, model_path: Path) -> None:
    """Times the files of a run; prints a table.

    A file that LiteRT refuses, or that crashes it, is left out.

    Args:
      invocation: the call.
      model_path: the model of the run, which is finished.

    Raises:
      UsageError: there are no files.
      PocketFlowError: after the table: files were left out.
    """
    run = invocation.run
    paths = sorted([*run.path.glob('*.tflite'), *(run / BASELINE_FOLDER).glob('*.tflite')])
    if not paths:
        raise UsageError(f'--run_dir={run.path}: holds no exported files; run --exec_mode=export first')
    images = next(invocation.helper.build_dataset_eval().as_numpy_iterator())[0]
    if isinstance(images, (dict, tuple)):
        images = named_inputs(load_fitting_model(model_path, invocation.helper, invocation.reader), images)
    sample = take(images, slice(1))
    with tempfile.TemporaryDirectory(prefix='pocketflow-benchmark-') as folder:  # the run may be read-only
        failed = _failing(Path(folder), invocation, paths, sample)
    paths = [path for path in paths if path not in failed]
    if paths:
        say(format_table(_rows(run.path, paths, sample, invocation)))
    if failed:
        raise PocketFlowError(f'not timed: {"; ".join(failed.values())}')


def _failing(folder: Path, invocation: Invocation, paths: list[Path], sample: Nest) -> dict[Path, str]:
    """The reasons of files that cannot be run, which another process finds out."""
    failed = {}
    named = sample if isinstance(sample, dict) else {ONLY_INPUT: np.asarray(sample)}
    with isolated_conversions(folder, sample, conversion_settings(invocation.export)) as runs:
        for path in paths:
            try:
                runs.try_file(path, named)
            except PocketFlowError as error:
                failed[path] = str(error)
    return failed


def _rows(folder: Path, paths: list[Path], sample: Nest, invocation: Invocation) -> list[tuple[str, ...]]:
    options, every_thread = invocation.export, num_usable_threads()
    timing = Timing.of_calls(options.rounds, options.warmup)
    one, every = (
        time_alternating({str(path): LiteRtRunner(path, threads) for path in paths}, take(sample, 0), timing)
        for threads in (1, every_thread)
    )
    header = ['file', 'bytes', 'p50 ms, 1 thread', 'p90 ms', f'p50 ms, {every_thread} threads', 'p90 ms']
    rows = [
        [
            path.relative_to(folder).as_posix(),
            f'{path.stat().st_size:,}',
            *(f'{value:.3f}' for latency in (one[str(path)], every[str(path)]) for value in (latency.p50, latency.p90)),
        ]
        for path in paths
    ]
    if is_there():
        header += ["LiteRT's tool, p50 ms, 1 thread", 'ratio']
        for path, row in zip(paths, rows, strict=True):
            row += compared_with_tool(
                functools.partial(_p50, LiteRtRunner(path), sample, timing),
                functools.partial(median_ms, path, options.rounds, options.warmup),
            )
    else:
        logging.info(NOT_THERE)
    return [tuple(header), *map(tuple, rows)]


def _p50(runner: LiteRtRunner, sample: Nest, timing: Timing) -> float:
    return time_alternating({'': runner}, take(sample, 0), timing)[''].p50


def compared_with_tool(ours: Callable[[], float], tool: Callable[[], float]) -> list[str]:
    """The time of LiteRT's own tool in milliseconds, and the ratio of ours to it, as cells of the table.

    Both are measured in turns, since the tool runs in a process of its own; the least of each is compared, which other
    work on the machine affects least.
    """
    try:
        turns = [(ours(), tool()) for _ in range(NUM_TURNS)]
    except PocketFlowError as error:
        logging.warning('%s', error)
        return ['failed', '']
    least, theirs = (min(times) for times in zip(*turns, strict=True))
    if theirs < COMPARABLE_MS:
        return [f'{theirs:.2f}', 'too short: it rounds to 0.01']
    return [f'{theirs:.2f}', f'{least / theirs:.2f}']
