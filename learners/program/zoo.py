"""Look-ups of trained models in the directories of former runs, which are named after their training flags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pocketflow.datasets.options import DatasetOptions
from pocketflow.learners.program.chains import FULL_PRECISION
from pocketflow.utils.options import flag_lines, option_fields
from pocketflow.utils.runs.run_directory import FLAGS_FILE

FIRST_STAGE = f'0-{FULL_PRECISION}'
"""Folder of a run for the training of the model that it compresses."""
TRAINING_NAME = 'training.txt'
"""File beside such a model with its training flags, with which other runs find it."""

HOLD_OUT_FIELDS = ('num_train', 'num_val', 'hold_out')
"""Options of data sets that define the held-out samples, and whether they are trained on."""

DATA_FILE = 'data.txt'
"""Record of the fingerprint of a run's training data."""


def trained_models(zoo: Path, name: str, data: str) -> list[Path]:
    """Models in the zoo with the training flags of `name`, trained on the data with that fingerprint.

    Models of full-prec runs come first, then those trained within other runs.
    """
    own = sorted(zoo.glob(f'{name}*/model.keras'))
    notes = sorted(zoo.glob(f'*/*/{FIRST_STAGE}/{TRAINING_NAME}'))
    others = [
        note.with_name('model.keras') for note in notes if note.read_text(encoding='utf-8', errors='replace') == name
    ]
    return [path for path in own if recorded_data(path.parent) == data] + [
        path for path in others if recorded_data(path.parents[1]) == data
    ]


def hold_out_lines(options: DatasetOptions) -> list[str]:
    """The lines of a flag file that define the held-out samples."""
    flags = {field.metadata['flag'] for field in option_fields(type(options)) if field.name in HOLD_OUT_FIELDS}
    return [line for line in flag_lines([options]) if line.lstrip('-').split('=')[0] in flags]


def trained_with(model: Path, lines: Sequence[str]) -> bool:
    """Whether the flag file of a model's run directory has these lines."""
    file = model.parent / FLAGS_FILE
    return file.is_file() and set(lines) <= set(file.read_text(encoding='utf-8', errors='replace').splitlines())


def recorded_data(run: Path) -> str | None:
    """Recorded fingerprint of a run's training data; None if there is none."""
    file = run / DATA_FILE
    return file.read_text(encoding='utf-8', errors='replace').strip() if file.is_file() else None
