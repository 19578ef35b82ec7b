"""Exports a model and measures the files on the disk."""

from __future__ import annotations

import dataclasses
import gzip
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from absl import logging

from pocketflow.utils.container import load_container
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.agreement import Agreement, agreement, rounding_difference
from pocketflow.utils.export.format_names import CONTAINER, formats
from pocketflow.utils.export.formats import Source, file_name
from pocketflow.utils.export.intervals import Interval, around, speedup_interval
from pocketflow.utils.export.latency import DEFAULT_TIMING, Latency, Timing, time_alternating
from pocketflow.utils.export.operators import operators
from pocketflow.utils.export.runner import LiteRtRunner, Values, num_usable_threads
from pocketflow.utils.export.signature import named_inputs, structured_outputs
from pocketflow.utils.system.atomic import replacing
from pocketflow.utils.tasks.nests import Nest, concatenated, in_batches, take
from pocketflow.utils.tasks.task import Task

FLOAT32_TOLERANCE = 1e-3
"""Largest accepted relative difference between the outputs of a float32 file and its model."""


Run = Callable[[Path, Nest, int], Values]
"""`run(path, inputs, batch_size)` returns the outputs [N, ...] (float32) of a file; inputs of several are by name."""


def run_here(path: Path, inputs: Nest, batch_size: int) -> Values:
    """Runs a file in this process, on all threads; `IsolatedConversions.predict` survives a crash of the runtime."""
    return LiteRtRunner(path, num_usable_threads()).predict(inputs, batch_size)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Data of the evaluation of a model's files.

    Attributes:
      images: inputs [N, ...]; several inputs or outputs are in nested structures.
      reference: the Keras model's outputs [N, ...] for these inputs.
      labels: labels of the inputs, as the task takes them.
      task: computes the metrics of a file's outputs.
      model: the Keras model; used to distinguish amplified rounding errors from errors of the file.
      logits_of: converts the outputs of the model and its files to logits, if they are probabilities.
    """

    images: Nest
    reference: Nest
    labels: Nest = None
    task: Task | None = None
    model: keras.Model | None = None
    logits_of: Callable[[Nest], Nest] | None = None

    @classmethod
    def of_model(
        cls, model: keras.Model, images: Nest, labels: Nest, task: Task | None, batch_size: int = 64
    ) -> Evaluation:
        return cls(images, keras_outputs(model, images, batch_size), labels, task, model)

    @property
    def file_inputs(self) -> Nest:
        """The inputs as a file takes them: by name, if the model is known."""
        return self.images if self.model is None else named_inputs(self.model, self.images)

    def run(self, path: Path, batch_size: int, run: Run) -> Nest:
        """The outputs [N, ...] (float32) of a file, in the structure of those of the model."""
        outputs = run(path, self.file_inputs, batch_size)
        return structured_outputs(self.model, outputs) if isinstance(outputs, dict) and self.model else outputs


@dataclasses.dataclass(frozen=True)
class FileUnderTest:
    """An exported file, its format, the data and outputs for its evaluation, and its agreement if known already."""

    file_format: str
    path: Path
    evaluation: Evaluation
    agreement: Agreement | None = None

    @property
    def runs(self) -> bool:
        """Whether LiteRT can run it; a container is unpacked to a Keras model instead."""
        return self.file_format != CONTAINER

    @property
    def num_bytes(self) -> int:
        return self.path.stat().st_size

    def predict(self, batch_size: int, run: Run = run_here) -> Nest:
        """The outputs [N, ...] (float32) that the file computes for the inputs."""
        if self.runs:
            return self.evaluation.run(self.path, batch_size, run)
        return keras_outputs(load_container(self.path).model, self.evaluation.images, batch_size)


@dataclasses.dataclass(frozen=True)
class ExportRecord:
    """Measurements of one exported file; `path` is relative to the directory of the export.

    `size_ratio` and `speedup` are relative to the uncompressed model's file, above 1 is better; the intervals are the
    confidence intervals of the speed-up, on one thread and on all. Files that LiteRT cannot run have no latencies, no
    speed-up and no operators.
    """

    file_format: str
    path: str
    num_bytes: int
    gzip_bytes: int
    agreement: Agreement
    latency: Latency | None
    latency_all_threads: Latency | None
    size_ratio: float
    speedup: float | None
    operators: Mapping[str, int]
    speedup_interval: Interval | None = None
    speedup_interval_all_threads: Interval | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            'format': self.file_format,
            'path': self.path,
            'bytes': self.num_bytes,
            'gzip_bytes': self.gzip_bytes,
            'metrics': dict(self.agreement.metrics),
            'max_abs_diff': self.agreement.max_abs_diff,
            'relative_max_abs_diff': self.agreement.relative_max_abs_diff,
            'same_answers': self.agreement.same_answers,
            'latency_ms': self.latency and self.latency.to_json(),
            'latency_ms_all_threads': self.latency_all_threads and self.latency_all_threads.to_json(),
            'size_ratio': round(self.size_ratio, 4),
            'speedup_vs_uncompressed': self.speedup,
            'speedup_interval': self.speedup_interval and list(self.speedup_interval),
            'speedup_interval_all_threads': (
                self.speedup_interval_all_threads and list(self.speedup_interval_all_threads)
            ),
            'operators': dict(sorted(self.operators.items())),
        }


def export_files(source: Source, names: Sequence[str], directory: Path) -> dict[str, Path]:
    """Writes the model into the directory in each of the formats; returns the paths by format."""
    for name in names:
        formats.get(name)  # rejects unknown names before anything is written
    paths = {name: directory / file_name(name) for name in names}
    for name, path in paths.items():
        content = source.content(name)
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    return paths


def measure_files(
    files: Mapping[str, FileUnderTest],
    directory: Path,
    reference: str,
    batch_size: int = 64,
    timing: Timing = DEFAULT_TIMING,
    failed: dict[str, str] | None = None,
) -> dict[str, ExportRecord]:
    """Measures exported files, each against its own model; those that LiteRT can run are timed alternately.

    Args:
      files: the files by name, including those of the uncompressed model.
      directory: the directory to which the paths in the records are relative.
      reference: name of the file of the uncompressed model, to which the others are compared.
      batch_size: samples per call during evaluation; latencies are measured with one.
      timing: duration of the measurement.
      failed: if given, files other than the reference that fail are left out, and the reasons stored here by name.

    Returns:
      One record per file, by name.

    Raises:
      PocketFlowError: the outputs of a float32 file differ from those of its model, or a file cannot be run.
    """
    agreements = _agreements(files, batch_size, reference, failed)
    files = {name: files[name] for name in agreements}
    first = {reference: files[reference], **files}  # the others' speeds are relative to it
    one_thread, all_threads = (_latencies(first, timing, num_threads) for num_threads in (1, num_usable_threads()))
    return {
        name: _record(
            file,
            directory,
            agreement=agreements[name],
            latency=one_thread.get(name),
            latency_all_threads=all_threads.get(name),
            size_ratio=files[reference].num_bytes / file.num_bytes,
            speedup=_speedup(one_thread.get(reference), one_thread.get(name)),
            speedup_interval=_interval(one_thread.get(reference), one_thread.get(name)),
            speedup_interval_all_threads=_interval(all_threads.get(reference), all_threads.get(name)),
        )
        for name, file in files.items()
    }


def _speedup(reference: Latency | None, latency: Latency | None) -> float | None:
    return reference.p50 / latency.p50 if reference and latency else None


def _interval(reference: Latency | None, latency: Latency | None) -> Interval | None:
    if not (reference and latency):
        return None
    return around(speedup_interval(reference.rounds, latency.rounds), reference.p50 / latency.p50)


def keras_outputs(model: keras.Model, images: Nest, batch_size: int = 64) -> Nest:
    """The model's outputs (float32) for inputs [N, ...], in inference mode; both may be nested structures."""
    images = tf.nest.map_structure(np.asarray, images)
    signature = tf.nest.map_structure(lambda array: tf.TensorSpec([None, *array.shape[1:]], array.dtype), images)

    # `predict` of Keras takes twice as long to trace, and reads the arrays through a pipeline.
    @tf.function(input_signature=[signature])
    def compute(inputs: Nest) -> Nest:
        return model(inputs, training=False)

    outputs = concatenated([compute(batch) for batch in in_batches(images, batch_size)])
    return tf.nest.map_structure(lambda array: np.asarray(array, np.float32), outputs)


def _agreements(
    files: Mapping[str, FileUnderTest], batch_size: int, reference: str, failed: dict[str, str] | None
) -> dict[str, Agreement]:
    agreements = {}
    for name, file in files.items():
        try:
            agreements[name] = file.agreement or check_file(file, batch_size)
        except PocketFlowError as error:
            if failed is None or name == reference:
                raise
            logging.error('the %s file is left out: %s', name, error)
            failed[name] = str(error)
    return agreements


def check_file(file: FileUnderTest, batch_size: int = 64, run: Run = run_here) -> Agreement:
    """Reads a file, runs it, and compares its outputs with those of its model.

    Args:
      file: the file, with the data for its evaluation.
      batch_size: samples per call.
      run: runs `.tflite` files; by default in this process, which a crash of the runtime would end.

    Raises:
      PocketFlowError: the file cannot be run, its outputs are not finite, or, for float32, differ from those of its
        model.
    """
    evaluation = file.evaluation
    result = agreement(
        evaluation.reference, file.predict(batch_size, run), evaluation.labels, evaluation.task, evaluation.logits_of
    )
    if file.file_format in (CONTAINER, 'float32') and result.relative_max_abs_diff > FLOAT32_TOLERANCE:
        if not _is_explained_by_rounding(evaluation, result, batch_size):
            raise PocketFlowError(
                f'{file.path}: outputs differ from those of its model by '
                f'{result.relative_max_abs_diff:.2g} of their range, '
                f'accepted: {FLOAT32_TOLERANCE:g}'
            )
        logging.warning(
            "%s: outputs differ by %.2g of their range from the model's, because the model amplifies "
            'rounding errors: its own outputs move as much when its inputs change in their last digits; '
            'train it longer, or compress it less',
            file.path,
            result.relative_max_abs_diff,
        )
    return result


def _is_explained_by_rounding(evaluation: Evaluation, result: Agreement, batch_size: int) -> bool:
    if evaluation.model is None:
        return False
    explained = rounding_difference(
        lambda images: keras_outputs(evaluation.model, images, batch_size), evaluation.images, evaluation.reference
    )
    return result.max_abs_diff <= explained


def _latencies(files: Mapping[str, FileUnderTest], timing: Timing, num_threads: int) -> dict[str, Latency]:
    runners = {name: LiteRtRunner(file.path, num_threads) for name, file in files.items() if file.runs}
    if not runners:
        return {}
    sample = take(next(file for file in files.values() if file.runs).evaluation.file_inputs, 0)
    return time_alternating(runners, sample, timing)


def _record(file: FileUnderTest, directory: Path, **measured: Any) -> ExportRecord:
    content = file.path.read_bytes()
    return ExportRecord(
        file.file_format,
        path=file.path.relative_to(directory).as_posix(),
        num_bytes=len(content),
        gzip_bytes=len(gzip.compress(content, mtime=0)),
        operators=operators(content) if file.runs else {},
        **measured,
    )
