"""From finished models to exported files, and to the figures measured on those files."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tf_keras as keras
from absl import logging

from nets.abstract_model_helper import AbstractModelHelper
from utils.cost_model import total_macs, total_parameters, uncounted_macs
from utils.encoding import Encoding
from utils.export import Evaluation, ExportRecord, FileUnderTest, Source, Timing, export_files, measure_files
from utils.export.device_latency import read_device_latencies
from utils.export.options import ExportOptions
from utils.export.runner import nb_usable_threads
from utils.models.files import save_model

UNCOMPRESSED = 'uncompressed'
BUSY = 3
"""Programs per core that want to compute, in the mean of a minute, from which on timing is not to be trusted."""
TIMED_KEYS = ('latency_ms', 'latency_ms_all_threads', 'speedup_interval', 'speedup_interval_all_threads')


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A finished model: itself, the folder for its files, its metrics on the evaluation set, its kernels' codes."""

    model: keras.Model
    folder: Path
    metrics: Mapping[str, float]
    encodings: Mapping[str, Encoding] = dataclasses.field(default_factory=dict)

    @property
    def keras_path(self) -> Path:
        return self.folder / 'model.keras'

    def entry(self, records: Sequence[ExportRecord]) -> dict:
        """The report's entry on this model: size and accuracy of the first file, latencies of the first that runs."""
        first = records[0].to_json()
        timed = next((record.to_json() for record in records if record.latency), first)
        return {'metrics': dict(self.metrics), 'parameters': total_parameters(self.model),
                'macs': total_macs(self.model), **self._uncounted(), 'keras_bytes': self.keras_path.stat().st_size,
                'file': first['path'], 'file_bytes': first['bytes'], 'file_accuracy': first['metrics']['accuracy'],
                'timed_file': timed['path'] if timed['latency_ms'] else None,
                **{key: timed[key] for key in TIMED_KEYS}}


    def _uncounted(self) -> dict:
        """`{'macs_not_counted': {layer: what}}`, if the MACs leave anything out."""
        found = uncounted_macs(self.model)
        return {'macs_not_counted': {name: list(what) for name, what in found.items()}} if found else {}


def warn_if_busy() -> None:
    """Warns if far more programs want to compute than there are cores: then speeds on all threads say little."""
    load, cores = os.getloadavg()[0], nb_usable_threads()
    if load > BUSY * cores:
        logging.warning('the machine is busy (load average %.1f, %d cores): latencies on all threads may mislead', load,
                        cores)


class Exporter:
    """Writes the files of the uncompressed and of the compressed model and measures them on equal terms.

    Args:
      helper: gives evaluation and calibration data.
      options: effort.
      root: what the paths in the report are relative to.
    """

    def __init__(self, helper: AbstractModelHelper, options: ExportOptions, root: Path):
        self.helper, self.options, self.root = helper, options, root

    def export(self, baseline: Candidate, compressed: Candidate, formats: Sequence[str],
               reference_format: str | None = None) -> dict:
        """The report's entries `baseline`, `compressed` and `exports`.

        Args:
          baseline, compressed: the models; if both are the same, there is nothing to compare and its files serve for
            both.
          formats: of the compressed model; the verdict is on the first.
          reference_format: of the uncompressed model; default: the first of `formats`.
        """
        on_device = self._device_latencies(formats)
        files = self._files(compressed, formats)
        reference = formats[0]
        if baseline is not compressed:
            reference = UNCOMPRESSED
            wanted = reference_format or formats[0]
            files[reference] = self._files(baseline, [wanted])[wanted]
        logging.info('running %d exported files on %d samples each', len(files),
                     len(next(iter(files.values())).evaluation.images))
        warn_if_busy()
        timing = Timing.of_calls(self.options.rounds, self.options.warmup).until_clear()
        records = measure_files(files, self.root, reference, timing=timing)
        exports = [records[name] for name in formats]
        baseline_entry = baseline.entry(exports if baseline is compressed else [records[reference]])
        return {'baseline': {**baseline_entry, **on_device.get(UNCOMPRESSED, {})},
                'compressed': compressed.entry(exports),
                'exports': [{**record.to_json(), **on_device.get(record.file_format, {})} for record in exports]}

    def _device_latencies(self, formats: Sequence[str]) -> dict[str, dict]:
        """`{'device_latency_ms': ...}` for each file that was timed on a device."""
        spec = self.options.device_latency
        found = read_device_latencies(spec, [*formats, UNCOMPRESSED]) if spec else {}
        return {name: {'device_latency_ms': latency} for name, latency in found.items()}

    def _files(self, candidate: Candidate, formats: Sequence[str]) -> dict[str, FileUnderTest]:
        save_model(candidate.model, candidate.keras_path)
        source = Source(candidate.model, candidate.encodings, self._calibration)
        paths = export_files(source, formats, candidate.folder)
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
