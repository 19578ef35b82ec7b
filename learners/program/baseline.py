"""The copy of the uncompressed model that a run keeps, and its metrics, with which the run is continued."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import tf_keras as keras

from pocketflow.learners.abstract_learner import METRICS_SHAPE
from pocketflow.utils.graph import NewHead
from pocketflow.utils.models.files import save_model
from pocketflow.utils.runs.given_files import MODEL_NAME
from pocketflow.utils.runs.model_files import refuse_damaged
from pocketflow.utils.runs.records import read_record
from pocketflow.utils.system import atomic

BASELINE_FOLDER = 'baseline'
"""Folder of a run for the uncompressed model that it started from."""
METRICS_FILE = 'metrics.json'
"""Record of its metrics on the evaluation set."""
NEW_HEAD_FILE = 'new_head.json'
"""Record of the new last layer that it was given; there is none if the model is that of the file."""
NEW_HEAD_SHAPE = {'layer': str, 'before': int, 'after': int}


class KeptBaseline:
    """The baseline in a run directory.

    Args:
      run: path of the directory.
    """

    def __init__(self, run: Path):
        self.folder = run / BASELINE_FOLDER
        self.path = self.folder / MODEL_NAME

    def exists(self) -> bool:
        return self.path.exists()

    def save(self, model: keras.Model, metrics: dict[str, float], new_head: NewHead | None = None) -> None:
        """Writes the model, and then its metrics."""
        for name in (METRICS_FILE, NEW_HEAD_FILE):
            (self.folder / name).unlink(missing_ok=True)  # of a model that was deleted
        if new_head is not None:
            atomic.write_json(self.folder / NEW_HEAD_FILE, dataclasses.asdict(new_head))
        save_model(model, self.path)
        self.save_metrics(metrics)

    def save_metrics(self, metrics: dict[str, float]) -> None:
        atomic.write_json(self.folder / METRICS_FILE, metrics)

    def metrics(self) -> dict[str, float] | None:
        """The recorded metrics; None in runs of versions that did not record them.

        Raises:
          DamagedRecordError: the record is damaged.
        """
        metrics: dict[str, float] | None = read_record(
            self.folder / METRICS_FILE, METRICS_SHAPE, 'delete it to have the model evaluated again'
        )
        return metrics

    def new_head(self) -> NewHead | None:
        """The new last layer that the model was given.

        Raises:
          DamagedRecordError: the record is damaged.
        """
        remedy = f'delete {self.folder} to obtain the model again'
        record = read_record(self.folder / NEW_HEAD_FILE, NEW_HEAD_SHAPE, remedy)
        return None if record is None else NewHead(**record)

    def refuse_damaged(self) -> None:
        """Raises a `DamagedRecordError` if the model is missing or damaged."""
        refuse_damaged(self.path, f'delete {self.folder} to obtain it again')
