"""Exports finished models and measures the exported files."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import tf_keras as keras
from absl import logging

from pocketflow.learners.program.conversions import conversion_settings, reason_of_failure
from pocketflow.learners.program.export_data import ExportData
from pocketflow.learners.program.file_metadata import Described, write_described
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.costs.cost_model import total_macs, total_parameters, uncounted_macs
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.device_latency import read_device_latencies
from pocketflow.utils.export.format_names import CONTAINER, UNCOMPRESSED
from pocketflow.utils.export.formats import Source
from pocketflow.utils.export.isolated import IsolatedConversions, Settings, isolated_conversions
from pocketflow.utils.export.latency import Timing
from pocketflow.utils.export.lint.exported import lint_entry
from pocketflow.utils.export.measure import (
    Evaluation,
    ExportRecord,
    FileUnderTest,
    check_file,
    export_files,
    measure_files,
)
from pocketflow.utils.export.options import FLOAT32, GIVEN, LOGITS, NORMALISED, ExportOptions
from pocketflow.utils.export.rewrites import rewritten
from pocketflow.utils.export.runner import num_usable_threads
from pocketflow.utils.export.watched_process import conversion_process
from pocketflow.utils.graph import Head, put_head_on
from pocketflow.utils.models.files import save_model
from pocketflow.utils.quantization.encoding import Encoding
from pocketflow.utils.runs.records import Record
from pocketflow.utils.system.storage_failures import storage_reason
from pocketflow.utils.tasks.nests import Nest, num_samples, take

BUSY = 3
"""Load average per core (one minute) above which latencies are reported as unreliable."""
TIMED_KEYS = ('latency_ms', 'latency_ms_all_threads', 'speedup_interval', 'speedup_interval_all_threads')
NUM_TRIED = 64
"""Number of evaluation samples for the first run of a new file: one batch."""


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A finished model with its file folder, its metrics on the evaluation set and the codes of its kernels.

    `head` is what was taken off the network for training; the model gives logits.
    """

    model: keras.Model
    folder: Path
    metrics: Mapping[str, float]
    encodings: Mapping[str, Encoding] = dataclasses.field(default_factory=dict)
    head: Head | None = None

    @property
    def keras_path(self) -> Path:
        return self.folder / 'model.keras'

    def entry(self, records: Sequence[ExportRecord]) -> dict[str, Any]:
        """The report's entry on this model: size and metrics of the first file, latencies of the first timed file."""
        first = records[0].to_json()
        timed = next((record.to_json() for record in records if record.latency), first)
        return {
            'metrics': dict(self.metrics),
            'parameters': total_parameters(self.model),
            'macs': total_macs(self.model),
            **self._uncounted(),
            'keras_bytes': self.keras_path.stat().st_size,
            'file': first['path'],
            'file_bytes': first['bytes'],
            'file_metrics': first['metrics'],
            'timed_file': timed['path'] if timed['latency_ms'] else None,
            **{key: timed[key] for key in TIMED_KEYS},
        }

    def _uncounted(self) -> dict[str, Any]:
        """`{'macs_not_counted': {layer: operation}}` if operations are not counted in the MACs, else empty."""
        found = uncounted_macs(self.model)
        return {'macs_not_counted': {name: list(what) for name, what in found.items()}} if found else {}


def warn_if_busy() -> None:
    """Warns if the load average is far above the number of cores: latencies on all threads are then unreliable."""
    load, cores = os.getloadavg()[0], num_usable_threads()
    if load > BUSY * cores:
        logging.warning(
            'the machine is busy (load average %.1f, %d cores): latencies on all threads are unreliable', load, cores
        )


@dataclasses.dataclass(frozen=True)
class _Prepared:
    """A candidate's network in the forms that are converted and compared.

    `form` is what is converted, `rewrites` the report's entry on how it differs from the network, `of_network` and
    `of_file` are evaluations on normalised images and on what the files take.
    """

    form: keras.Model
    rewrites: dict[str, Any]
    of_network: Evaluation
    of_file: Evaluation
    described: Described


class Exporter:
    """Exports the uncompressed and the compressed model and measures the files under equal conditions.

    A format that fails is reported with its reason; the other formats are still exported.

    Args:
      helper: the pair, for evaluation and calibration data.
      options: formats, numbers of samples and of timed repetitions.
      root: folder to which paths in the report are relative.
      learners: names of the learners, for the descriptions in the files.
      conversions: `conversions(folder, samples, settings)` returns the converter, which also runs each new file.
    """

    def __init__(
        self,
        helper: AbstractModelHelper,
        options: ExportOptions,
        root: Path,
        conversions: Callable[
            [Path, Nest, Settings], AbstractContextManager[IsolatedConversions]
        ] = isolated_conversions,
        learners: Sequence[str] = (),
    ):
        self.helper, self.options, self.root, self._conversions = helper, options, root, conversions
        self._learners = learners
        self._data = ExportData(helper, options)

    def export(
        self,
        baseline: Candidate,
        compressed: Candidate,
        formats: Sequence[str],
        reference_format: str | None = None,
        former: Record | None = None,
    ) -> dict[str, Any]:
        """The report's entries `baseline`, `compressed` and `exports`, and `failed_exports` if any format failed.

        Args:
          baseline, compressed: the models; if they are the same object, its files are used for both.
          formats: formats of the compressed model; the verdict is on the first successful one.
          reference_format: format of the uncompressed model; default: the first of `formats` that succeeds for both.
          former: a former report of the run, whose latencies on devices are kept unless there are new ones.

        Raises:
          PocketFlowError: no format, or no reference file, could be exported.
        """
        on_device = self._device_latencies(formats)
        if {*formats, reference_format or CONTAINER} != {CONTAINER}:
            conversion_process().start()  # it loads TensorFlow while the models are saved and evaluated
        failed: dict[str, str] = {}
        prepared = self._prepared(compressed)
        files = self._files(compressed, prepared, formats, failed)
        _require(files, failed)
        reference = next(iter(files))
        if baseline is not compressed:
            wanted = [reference_format, *files] if reference_format else files
            reference, files[UNCOMPRESSED] = UNCOMPRESSED, self._first_file(baseline, list(dict.fromkeys(wanted)))
        warn_if_busy()
        timing = Timing.of_calls(self.options.rounds, self.options.warmup).until_clear()
        records = measure_files(files, self.root, reference, timing=timing, failed=failed)
        exports = [records[name] for name in formats if name in records]
        _require(exports, failed)
        baseline_entry = baseline.entry(exports if baseline is compressed else [records[reference]])
        result = {
            'baseline': {**baseline_entry, **on_device.get(UNCOMPRESSED, {})},
            'compressed': compressed.entry(exports),
            'exports': [
                {**record.to_json(), **lint_entry(files[record.file_format]), **on_device.get(record.file_format, {})}
                for record in exports
            ],
            'files': self._form(compressed.head),
        }
        if failed:
            result['failed_exports'] = [
                {'format': name, 'reason': failed[name], 'required': self._is_required(name) or name == formats[0]}
                for name in formats
                if name in failed
            ]
        if prepared.rewrites:
            result['rewrites'] = prepared.rewrites
        keep_device_latencies(result, former or {})
        return result

    def _rewritten(self, model: keras.Model) -> tuple[keras.Model, dict[str, Any]]:
        """The model in the form that is converted, and the report's entry on its changes, if it was rewritten."""
        if self.options.rewrite_for is None:
            return model, {}
        result = rewritten(model, self.options.rewrite_for)
        for name, change in result.changes.items():
            logging.info('rewritten for %s: %s: %s', self.options.rewrite_for, name, change)
        logging.info('rewritten layers: %d; outputs differ by %.2g', len(result.changes), result.difference)
        return result.model, {'target': self.options.rewrite_for, **result.to_json()}

    def _form(self, head: Head | None) -> dict[str, str]:
        """The report's entry on what the files take and give."""
        kept = None if self.options.head == LOGITS else head
        return {
            'input': self.options.input or NORMALISED,
            'head': self.options.head or GIVEN,
            **({'int8_io': FLOAT32} if self.options.int8_io == FLOAT32 else {}),
            'outputs': kept.function if kept else 'logits',
        }

    def _is_required(self, file_format: str) -> bool:
        """Whether the user asked for the format by name."""
        return file_format in self.options.names

    def _device_latencies(self, formats: Sequence[str]) -> dict[str, dict[str, Any]]:
        """`{'device_latency_ms': ...}` for each file that was timed on a device."""
        spec = self.options.device_latency
        found = read_device_latencies(spec, [*formats, UNCOMPRESSED]) if spec else {}
        return {name: {'device_latency_ms': latency} for name, latency in found.items()}

    def _first_file(self, candidate: Candidate, formats: Sequence[str]) -> FileUnderTest:
        """The model's file in the first format that succeeds."""
        failed: dict[str, str] = {}
        prepared = self._prepared(candidate)
        for name in formats:
            files = self._files(candidate, prepared, [name], failed)
            if files:
                return files[name]
        raise PocketFlowError(f'the uncompressed model cannot be exported to be compared with: {_reasons(failed)}')

    def _prepared(self, candidate: Candidate) -> _Prepared:
        """Saves the candidate's model, and evaluates and rewrites it, once for all formats."""
        whole = put_head_on(candidate.model, candidate.head)
        save_or_keep(whole, candidate.keras_path)
        exported = candidate.model if self.options.head == LOGITS else whole
        head = candidate.head if exported is whole else None
        samples, pixels = self._data.samples, self._data.pixels
        of_network = Evaluation.of_model(exported, samples.images, samples.labels, self.helper.task)
        if head is not None:
            of_network = dataclasses.replace(of_network, logits_of=head.logits_of)
        of_file = of_network
        if pixels is not None:
            of_file = dataclasses.replace(of_network, images=samples.pixels, model=pixels.with_float_pixels(exported))
        form, rewrites = self._rewritten(exported)
        learners = self._learners if candidate.folder == self.root else ()
        described = Described(self.helper, self.options, exported, head, learners, num_samples(samples.images))
        return _Prepared(form, rewrites, of_network, of_file, described)

    def _files(
        self, candidate: Candidate, prepared: _Prepared, formats: Sequence[str], failed: dict[str, str]
    ) -> dict[str, FileUnderTest]:
        """A model's files by format; adds the reasons of failed formats to `failed`."""
        files = {}
        samples = take(prepared.of_file.images, slice(NUM_TRIED))
        with self._conversions(candidate.folder, samples, conversion_settings(self.options)) as conversions:
            source = Source(
                prepared.form,
                candidate.encodings,
                self._data.calibration,
                conversions.convert,
                conversions.try_out,
                self._data.pixels,
            )
            for name in formats:
                # A container is the network itself: it takes normalised images.
                evaluation = prepared.of_network if name == CONTAINER else prepared.of_file
                try:
                    path = export_files(source, [name], candidate.folder)[name]
                    logging.info('running %s on %d samples', path.name, num_samples(evaluation.images))
                    file = FileUnderTest(name, path, evaluation)
                    agreement = check_file(file, run=conversions.predict)
                    if file.runs:
                        write_described(path, prepared.described.metadata(name, agreement), conversions.try_out, name)
                    files[name] = dataclasses.replace(file, agreement=agreement)
                except Exception as error:  # the writers of files raise various types
                    failed[name] = reason_of_failure(error)
                    logging.error('no %s file: %s', name, failed[name])
                    logging.debug('its error', exc_info=error)
        return files


def save_or_keep(model: keras.Model, path: Path) -> None:
    """Saves a model; if there is no room for it, a file that an earlier export of the run wrote stays."""
    try:
        save_model(model, path)
    except Exception as error:  # Keras' writers raise various types
        if storage_reason(error) is None or not path.is_file():
            raise
        logging.warning('%s is not written anew: %s', path, reason_of_failure(error))


def _require(made: Collection[Any], failed: Mapping[str, str]) -> None:
    if not made:
        raise PocketFlowError(f'the model cannot be exported: {_reasons(failed)}')


def _reasons(failed: Mapping[str, str]) -> str:
    return '; '.join(f'{name}: {reason}' for name, reason in failed.items())


def keep_device_latencies(measured: Record, former: Record) -> None:
    """Copies device latencies from the former report unless new ones are given."""
    timed = {item['format']: item for item in former.get('exports', ())}
    pairs = [
        (measured['baseline'], former.get('baseline', {})),
        *((item, timed.get(item['format'], {})) for item in measured['exports']),
    ]
    for entry, before in pairs:
        if 'device_latency_ms' in before:
            entry.setdefault('device_latency_ms', before['device_latency_ms'])


def refuse_failed_exports(failed: Sequence[Record]) -> None:
    """Raises a `PocketFlowError` if a requested format, or the format of the verdict, failed.

    Args:
      failed: the report's entry `failed_exports`.
    """
    required = {entry['format']: entry['reason'] for entry in failed if entry['required']}
    if required:
        raise PocketFlowError(f'not exported: {_reasons(required)}')
