"""The result of a run, as objects: read from its directory."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketflow.utils.reports.notebook import Report
from pocketflow.utils.reports.report import SHAPE, upgraded
from pocketflow.utils.runs.given_files import MODEL_NAME
from pocketflow.utils.runs.records import DamagedRecordError, read_record
from pocketflow.utils.runs.run_directory import REPORT

if TYPE_CHECKING:
    from pocketflow.utils.compression_plan import CompressionPlan

REMEDY = 'give the directory of a finished run'


class CompressionResult:
    """A finished run.

    Args:
      run_dir: its directory.

    Raises:
      DamagedRecordError: there is no report, or it is damaged.

    Attributes:
      run_dir: its directory, absolute.
      report: the measured figures; a notebook shows them as tables.
    """

    def __init__(self, run_dir: Path):
        self.run_dir = run_dir.resolve()
        record = read_record(self.run_dir / REPORT, SHAPE, REMEDY, upgraded)
        if record is None:
            raise DamagedRecordError(f'{self.run_dir / REPORT}: is gone; {REMEDY}')
        self.report = Report(record, self.run_dir)

    @functools.cached_property
    def model(self) -> Any:
        """The compressed network, a `tf_keras` model, with its softmax if the given one had one; not compiled.

        Raises:
          DamagedRecordError: its file is gone or damaged.
        """
        from pocketflow.learners.model_files import load_own_model  # it loads TensorFlow
        from pocketflow.utils.models.keras_state import keras_state_kept

        with keras_state_kept():
            return load_own_model(self.run_dir / MODEL_NAME, REMEDY)

    @property
    def files(self) -> dict[str, Path]:
        """The exported files by format; the figures of the verdict are those of the first."""
        return {entry['format']: self.run_dir / entry['path'] for entry in self.report.data['exports']}

    @functools.cached_property
    def plans(self) -> Mapping[str, CompressionPlan]:
        """What was decided for each layer, by learner; those without a plan are missing."""
        from pocketflow.utils.compression_plan import CompressionPlan

        stages = enumerate(self.report.data['learners'], start=1)
        files = {name: self.run_dir / f'{number}-{name}' / 'plan.json' for number, name in stages}
        return {name: CompressionPlan.load(file) for name, file in files.items() if file.is_file()}

    @property
    def plan(self) -> CompressionPlan | None:
        """The plan of the first learner that has one."""
        return next(iter(self.plans.values()), None)

    def __str__(self) -> str:
        return f'{self.report}\n\nreport: {self.report.path}'

    def __repr__(self) -> str:
        return f'CompressionResult({str(self.run_dir)!r})'

    def _repr_html_(self) -> str:
        return self.report._repr_html_()
