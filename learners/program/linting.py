"""`--exec_mode=lint`: which accelerators run a `.tflite` file of any origin; needs no pair, no data, no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pocketflow.learners.program.options import ProcessOptions
from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.lint.linter import lint_file
from pocketflow.utils.export.lint.options import LintOptions
from pocketflow.utils.options import from_flags
from pocketflow.utils.options.parsing import parse
from pocketflow.utils.reports.lint import enforce_delegation, lint_text
from pocketflow.utils.system.paths import path_errors_reported
from pocketflow.utils.system.streams import say


def lint(argv: Sequence[str]) -> None:
    """Lints the file of a command line and prints the result.

    Raises:
      UsageError: the file, or a flag, cannot be used.
      PocketFlowError: the required delegate does not run all of the file.
    """
    options = from_flags(LintOptions, parse((ProcessOptions, LintOptions), argv))
    if options.tflite is None:
        raise UsageError('--tflite is missing: --exec_mode=lint needs --tflite=FILE, a .tflite file')
    with path_errors_reported():
        samples = None if options.samples is None else {'samples': read_samples(options.samples)}
        record = lint_file(options.tflite, samples).to_json()
    say(lint_text(options.tflite, record))
    enforce_delegation(options.tflite, record, options.require_full_delegation)


def read_samples(path: str) -> np.ndarray:
    """The inputs `[N, ...]` in a `.npy` file.

    Raises:
      UsageError: there is no such file, or it holds no array of numbers.
    """
    if not Path(path).is_file():
        raise UsageError(f'--lint_samples={path}: there is no such file; give a .npy file with inputs [N, ...]')
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UsageError(f'--lint_samples={path}: this is no .npy file of numbers ({error})') from error
    if not isinstance(array, np.ndarray) or array.ndim < 2 or not len(array) or array.dtype.kind not in 'fiu':
        raise UsageError(f'--lint_samples={path}: give an array [N, ...] of numbers, at least one sample')
    return array
