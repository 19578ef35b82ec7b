"""Exports finished models and measures the exported files."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from absl import logging

from pocketflow.datasets.sourced_dataset import SourcedDataset
from pocketflow.learners.program.conversions import conversion_settings, reason_of_failure
from pocketflow.learners.program.file_metadata import Described, write_described
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.costs.cost_model import total_macs, total_parameters, uncounted_macs
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.export.device_latency import read_device_latencies
from pocketflow.utils.export.format_names import CONTAINER, UNCOMPRESSED
from pocketflow.utils.export.formats import Source
from pocketflow.utils.export.inputs import PixelInput, as_pixels
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
from pocketflow.utils.export.options import FLOAT32, GIVEN, LOGITS, NORMALISED, UINT8, ExportOptions
from pocketflow.utils.export.rewrites import rewritten
from pocketflow.utils.export.runner import num_usable_threads
from pocketflow.utils.export.watched_process import conversion_process
from pocketflow.utils.graph import Head, put_head_on
from pocketflow.utils.models.files import save_model
from pocketflow.utils.quantization.encoding import Encoding
from pocketflow.utils.runs.records import Record
from pocketflow.utils.system.memory import available_bytes, in_words
from pocketflow.utils.system.storage_failures import storage_reason
from pocketflow.utils.tasks.nests import Nest, concatenated, flat_shapes, num_samples, take

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
class Samples:
    """Evaluation samples: images `[N, ...]` as the network takes them, labels `[N]`, and the pixels for files that take
    these.
    """

    images: Nest
    labels: Nest
    pixels: np.ndarray | None = None


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
        self._rewrites: dict[str, Any] = {}
        self._learners = learners

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
        files = self._files(compressed, formats, failed)
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
        if self._rewrites:
            result['rewrites'] = self._rewrites
        keep_device_latencies(result, former or {})
        return result

    def _rewritten(self, model: keras.Model) -> keras.Model:
        """The model in the form that is converted; the files are compared with the model itself."""
        if self.options.rewrite_for is None:
            return model
        result = rewritten(model, self.options.rewrite_for)
        for name, change in result.changes.items():
            logging.info('rewritten for %s: %s: %s', self.options.rewrite_for, name, change)
        logging.info('rewritten layers: %d; outputs differ by %.2g', len(result.changes), result.difference)
        self._rewrites = {'target': self.options.rewrite_for, **result.to_json()}
        return result.model

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
        for name in formats:
            files = self._files(candidate, [name], failed)
            if files:
                return files[name]
        raise PocketFlowError(f'the uncompressed model cannot be exported to be compared with: {_reasons(failed)}')

    def _files(self, candidate: Candidate, formats: Sequence[str], failed: dict[str, str]) -> dict[str, FileUnderTest]:
        """A model's files by format; adds the reasons of failed formats to `failed`."""
        whole = put_head_on(candidate.model, candidate.head)
        save_or_keep(whole, candidate.keras_path)
        exported = candidate.model if self.options.head == LOGITS else whole
        of_network = Evaluation.of_model(exported, self._samples.images, self._samples.labels, self.helper.task)
        if candidate.head is not None and exported is whole:
            of_network = dataclasses.replace(of_network, logits_of=candidate.head.logits_of)
        evaluation = of_network if self._pixels is None else self._of_pixels(of_network)
        files, form = {}, self._rewritten(exported)
        described = Described(
            self.helper,
            self.options,
            exported,
            candidate.head if exported is whole else None,
            self._learners if candidate.folder == self.root else (),
            num_samples(self._samples.images),
        )
        samples = take(evaluation.images, slice(NUM_TRIED))
        with self._conversions(candidate.folder, samples, conversion_settings(self.options)) as conversions:
            source = Source(
                form, candidate.encodings, self._calibration, conversions.convert, conversions.try_out, self._pixels
            )
            for name in formats:
                # A container is the network itself: it takes normalised images.
                of_file = of_network if name == CONTAINER else evaluation
                try:
                    path = export_files(source, [name], candidate.folder)[name]
                    logging.info('running %s on %d samples', path.name, num_samples(of_file.images))
                    file = FileUnderTest(name, path, of_file)
                    agreement = check_file(file, run=conversions.predict)
                    if file.runs:
                        write_described(path, described.metadata(name, agreement), conversions.try_out, name)
                    files[name] = dataclasses.replace(file, agreement=agreement)
                except Exception as error:  # the writers of files raise various types
                    failed[name] = reason_of_failure(error)
                    logging.error('no %s file: %s', name, failed[name])
                    logging.debug('its error', exc_info=error)
        return files

    def _of_pixels(self, evaluation: Evaluation) -> Evaluation:
        """The evaluation of files that take pixels."""
        assert self._pixels is not None and self._samples.pixels is not None and evaluation.model is not None
        model = self._pixels.with_float_pixels(evaluation.model)
        return dataclasses.replace(evaluation, images=self._samples.pixels, model=model)

    @functools.cached_property
    def _pixels(self) -> PixelInput | None:
        return pixel_input(self.helper.dataset) if self.options.input == UINT8 else None

    @functools.cached_property
    def _samples(self) -> Samples:
        dataset = self.helper.dataset
        numbers = np.arange(num_run(dataset, self.options))
        batches = dataset.ordered_batches('eval', numbers, normalised=self._pixels is None).as_numpy_iterator()
        images, labels = concatenated(list(batches))
        if self._pixels is None:
            return Samples(images, labels)
        pixels = as_pixels(images)
        return Samples(self._pixels.normalised(pixels), labels, pixels)

    @functools.cached_property
    def _calibration(self) -> Nest:
        images = self.helper.training_images(self.options.num_calibration, normalised=self._pixels is None)
        return images if self._pixels is None else as_pixels(images)


def save_or_keep(model: keras.Model, path: Path) -> None:
    """Saves a model; if there is no room for it, a file that an earlier export of the run wrote stays."""
    try:
        save_model(model, path)
    except Exception as error:  # Keras' writers raise various types
        if storage_reason(error) is None or not path.is_file():
            raise
        logging.warning('%s is not written anew: %s', path, reason_of_failure(error))


def pixel_input(dataset: SourcedDataset) -> PixelInput:
    """The normalisation of a data set, for files that take its pixels.

    Raises:
      UsageError: the samples of its first batch are no images of pixels.
    """
    images = next(iter(dataset.ordered_batches('eval', [0], normalised=False)))[0]
    if not tf.is_tensor(images):
        raise UsageError(
            f'--export_input=uint8: {dataset.name} has several inputs; give --export_input=normalised, files with '
            'pixels have one'
        )
    as_pixels(images.numpy())
    return PixelInput(dataset.normalize, images.dtype, dataset.image_shape)


def check_export(dataset: SourcedDataset, options: ExportOptions, formats: Sequence[str]) -> None:
    """Raises a `UsageError` if the files of the requested formats cannot be written or measured.

    Args:
      dataset: the data set; it is read.
      options: the options of the export.
      formats: the formats without which the export fails.
    """
    require_memory(num_run(dataset, options), dataset.image_shape)
    if options.input == UINT8 and pixel_input(dataset).affine is None and 'int8' in formats:
        raise UsageError(
            f'--export_input=uint8: the images of {dataset.name} are not normalised pixel by pixel with fixed numbers, '
            'which an int8 file could do; give --export_input=normalised, or other --export_formats'
        )


def num_run(dataset: SourcedDataset, options: ExportOptions) -> int:
    """Number of evaluation samples on which each exported file is run."""
    num_all = len(dataset.source('eval'))
    return min(num_all, options.num_eval or num_all)


def require_memory(num_images: int, image_shape: Any, available: int | None = None) -> None:
    """Raises a `UsageError` if the images on which exported files are run do not fit into memory.

    Args:
      num_images: number of float32 images, which are held twice while they are concatenated.
      image_shape: shape of each image, or a structure of shapes of several inputs.
      available: bytes; default: as reported by the system. Nothing is checked if it reports nothing.
    """
    available = available_bytes() if available is None else available
    one = 2 * 4 * sum(math.prod(shape) for shape in flat_shapes(image_shape))
    if available is not None and num_images * one > available:
        raise UsageError(
            f'running the exported files on {num_images} evaluation images would take {in_words(num_images * one)} of '
            f'memory; {in_words(available)} are available: give --nb_smpls_export_eval={available // (2 * one)} or less'
        )


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
