"""A trial export: each format of a predicted model is converted, checked and timed once, in a temporary folder."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tf_keras as keras

from pocketflow.learners.model_files import Finished
from pocketflow.learners.program.exporting import Candidate, Exporter
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.export.convert import Calibration
from pocketflow.utils.export.inputs import PixelInput
from pocketflow.utils.export.isolated import IsolatedConversions, Settings, isolated_conversions
from pocketflow.utils.export.options import ExportOptions
from pocketflow.utils.export.runner import Values
from pocketflow.utils.tasks.nests import Nest

NUM_SAMPLES = 16
"""Samples on which each file is run, and that calibrate the int8 file."""
NUM_TIMED, NUM_WARMUP = 10, 5
"""Timed and untimed calls of each file."""


@dataclasses.dataclass(frozen=True)
class TrialExport:
    """Result of a trial export.

    Attributes:
      measured: what `Exporter.export` returns.
      conversion_seconds: format -> duration of its last conversion.
      seconds: of the whole trial.
    """

    measured: dict[str, Any]
    conversion_seconds: dict[str, float]
    seconds: float


class _TimedConversions(IsolatedConversions):
    """Conversions that note their durations."""

    def __init__(self, inner: IsolatedConversions, seconds: dict[str, float]):
        self._inner, self._seconds = inner, seconds

    def convert(
        self,
        model: keras.Model,
        file_format: str,
        calibration: Calibration | None = None,
        pixels: PixelInput | None = None,
    ) -> bytes:
        begin = time.monotonic()
        content = self._inner.convert(model, file_format, calibration, pixels)
        self._seconds[file_format] = time.monotonic() - begin
        return content

    def try_out(self, file_format: str, content: bytes) -> None:
        self._inner.try_out(file_format, content)

    def predict(self, path: Path, inputs: Values, batch_size: int) -> Values:
        return self._inner.predict(path, inputs, batch_size)


@contextlib.contextmanager
def _timed(seconds: dict[str, float], folder: Path, samples: Nest, settings: Settings) -> Iterator[IsolatedConversions]:
    with isolated_conversions(folder, samples, settings) as conversions:
        yield _TimedConversions(conversions, seconds)


def trial_export(
    helper: AbstractModelHelper,
    options: ExportOptions,
    baseline: keras.Model,
    last: Finished,
    formats: Sequence[str],
    reference_format: str | None,
) -> TrialExport:
    """Exports both models as a run does, on few samples; nothing is left behind.

    Args:
      helper: the pair.
      options: of the run.
      baseline: the uncompressed model; the object `last.model` if nothing is compressed.
      last: the predicted result of the last stage.
      formats: formats of the predicted model.
      reference_format: as for `Exporter.export`.

    Raises:
      PocketFlowError: no format, or no reference file, can be exported.
    """
    few = options.replace(num_eval=NUM_SAMPLES, num_calibration=NUM_SAMPLES, rounds=NUM_TIMED, warmup=NUM_WARMUP)
    seconds: dict[str, float] = {}
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix='pocketflow-check-') as name:
        folder = Path(name)
        compressed = Candidate(last.model, folder, {}, last.encodings, last.head)
        before = compressed if baseline is last.model else Candidate(baseline, folder / 'baseline', {}, head=last.head)
        exporter = Exporter(helper, few, folder, functools.partial(_timed, seconds))
        measured = exporter.export(before, compressed, formats, reference_format)
    return TrialExport(measured, seconds, time.monotonic() - begin)
