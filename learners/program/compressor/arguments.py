"""Options given as Python values, as arguments of the command line."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from pocketflow.utils.errors import UsageError

REFUSED = {
    'exec_mode': 'a Compressor compresses; other modes are commands of the program',
    'dry_run': 'a Compressor compresses; give --dry_run to the program',
    'enbl_multi_gpu': 'several workers are processes that scripts/run_horovod.sh starts',
    'undefok': 'each option must be known',
}
"""Flags that the command line has and a `Compressor` does not -> the reason."""


def as_arguments(options: Mapping[str, Any]) -> list[str]:
    """Options by flag name as arguments; those whose value is None are left out.

    >>> as_arguments({'cpr_prune_ratio': 0.5, 'enbl_dst': False, 'export_formats': ['int8', 'float32'], 'labels': None})
    ['--cpr_prune_ratio=0.5', '--enbl_dst=false', '--export_formats=int8,float32']

    Args:
      options: values are numbers, texts, paths, booleans, or lists of these.

    Raises:
      UsageError: a flag is not one of a `Compressor`, or a value is of another type.
    """
    for flag in options:
        if flag in REFUSED:
            raise UsageError(f'{flag}: {REFUSED[flag]}')
    return [f'--{flag}={as_text(flag, value)}' for flag, value in options.items() if value is not None]


def as_text(flag: str, value: Any) -> str:
    """A value as it is written on the command line; raises a `UsageError` for other types."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, np.integer | np.floating):
        value = value.item()
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, list | tuple) and value and not any(isinstance(item, list | tuple) for item in value):
        return ','.join(as_text(flag, item) for item in value)
    raise UsageError(
        f'{flag}: must be a number, a text, a path, True, False, or a list of these, not {type(value).__name__}'
    )


def chain(learner: str | Iterable[str]) -> str:
    """Learners as on the command line, separated by commas."""
    return learner if isinstance(learner, str) else ','.join(learner)
