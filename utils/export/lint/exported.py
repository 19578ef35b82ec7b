"""The lint of a file that was just exported, with the samples on which it is evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from absl import logging

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.lint.delegation import ask
from pocketflow.utils.export.lint.linter import lint_file
from pocketflow.utils.export.measure import FileUnderTest
from pocketflow.utils.export.signature import ONLY_INPUT

FLOAT_FORMATS = ('float32', 'float16')
"""Formats whose activations are float."""
NUM_OBSERVED = 16
"""Number of samples for the ranges of activations."""


def lint_entry(file: FileUnderTest) -> dict[str, Any]:
    """The entry `{'lint': ...}` of a report; empty for a container, which LiteRT does not run.

    The runtime is asked in this process, in which the file has been run before. Float files are also run on some of
    their samples, for the ranges of activations.
    """
    if not file.runs:
        return {}
    inputs = file.evaluation.file_inputs
    arrays = inputs if isinstance(inputs, Mapping) else {ONLY_INPUT: inputs}
    samples = {name: np.asarray(array)[:NUM_OBSERVED] for name, array in arrays.items()}
    try:
        result = lint_file(file.path, samples if file.file_format in FLOAT_FORMATS else None, ask)
    except PocketFlowError as error:
        logging.warning('the ranges of activations are not checked: %s', error)
        result = lint_file(file.path, ask=ask)
    return {'lint': result.to_json()}
