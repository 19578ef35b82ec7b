"""From finished models to exported files, and to the figures measured on those files."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tf_keras as keras
from absl import logging

from learners.abstract_learner import save_model
from nets.abstract_model_helper import AbstractModelHelper
from utils.cost_model import total_macs, total_parameters
from utils.export import Evaluation, ExportRecord, FileUnderTest, Timing, export_files, measure_files
from utils.export.options import ExportOptions

UNCOMPRESSED = 'uncompressed'


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A finished model: itself, the folder for its files, and its metrics on the evaluation set."""

    model: keras.Model
    folder: Path
    metrics: Mapping[str, float]

    @property
    def keras_path(self) -> Path:
        return self.folder / 'model.keras'

    def entry(self, record: ExportRecord) -> dict:
        """The report's entry on this model; `record` is of its headline file."""
        measured = record.to_json()
        return {'metrics': dict(self.metrics), 'parameters': total_parameters(self.model),
                'macs': total_macs(self.model),
                'keras_bytes': self.keras_path.stat().st_size, 'file_bytes': measured['bytes'],
                'file_accuracy': measured['metrics']['accuracy'],
                **{key: measured[key] for key in ('latency_ms', 'latency_ms_all_threads')}}


class Exporter:
    """Writes the files of the uncompressed and of the compressed model and measures them on equal terms.

    Args:
      helper: gives evaluation and calibration data.
      options: formats and effort.
      root: what the paths in the report are relative to.
    """

    def __init__(self, helper: AbstractModelHelper, options: ExportOptions, root: Path):
        self.helper, self.options, self.root = helper, options, root

    def export(self, baseline: Candidate, compressed: Candidate) -> dict:
        """The report's entries `baseline`, `compressed` and `exports`.

        The first format is the headline: in it the two models are compared. If both candidates are the same, there
        is nothing to compare and its one file serves for both.
        """
        headline = self.options.names[0]
        files = self._files(compressed, self.options.names)
        reference = headline
        if baseline is not compressed:
            reference = UNCOMPRESSED
            files[reference] = self._files(baseline, [headline])[headline]
        logging.info('running %d exported files on %d samples each', len(files),
                     len(next(iter(files.values())).evaluation.images))
        timing = Timing.of_calls(self.options.rounds, self.options.warmup)
        records = measure_files(files, self.root, reference, timing=timing)
        return {'baseline': baseline.entry(records[reference]), 'compressed': compressed.entry(records[headline]),
                'exports': [records[name].to_json() for name in self.options.names]}

    def _files(self, candidate: Candidate, formats: tuple[str, ...] | list[str]) -> dict[str, FileUnderTest]:
        save_model(candidate.model, candidate.keras_path)
        paths = export_files(candidate.model, formats, candidate.folder, self._calibration)
        evaluation = Evaluation.of_model(candidate.model, *self._evaluation_samples)
        return {name: FileUnderTest(name, path, evaluation) for name, path in paths.items()}

    @functools.cached_property
    def _evaluation_samples(self) -> tuple[np.ndarray, np.ndarray]:
        batches = list(self.helper.build_dataset_eval().as_numpy_iterator())
        images, labels = (np.concatenate(parts)[:self.options.num_eval] for parts in zip(*batches, strict=True))
        return images, labels

    @functools.cached_property
    def _calibration(self) -> np.ndarray:
        return self.helper.training_images(self.options.num_calibration)
