"""Python interface of export and measurement: functions of models, arrays and paths, without flags."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.format_names import CONTAINER, formats
from pocketflow.utils.export.formats import Source
from pocketflow.utils.export.latency import DEFAULT_TIMING, Timing, time_alternating
from pocketflow.utils.export.measure import Evaluation, FileUnderTest, check_file, export_files, keras_outputs
from pocketflow.utils.export.metadata import Metadata, Tensor, with_metadata
from pocketflow.utils.export.options import FLOAT32, INT8
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.export.signature import output_names
from pocketflow.utils.graph.arguments import checked_images, flat_model
from pocketflow.utils.quantization.encoding import Encoding
from pocketflow.utils.quantization.int8 import is_quantization_aware
from pocketflow.utils.system.atomic import replacing
from pocketflow.utils.tasks.nests import Nest, take

NUM_CHECKED = 64
"""Samples on which a new file is compared with its model."""
CALIBRATED = 'int8'
Measurable: TypeAlias = keras.Model | str | os.PathLike[str]


def export_tflite(
    model: keras.Model,
    folder: str | os.PathLike[str],
    formats: Sequence[str] = ('float32', 'int8'),
    images: np.ndarray | None = None,
    *,
    encodings: Mapping[str, Encoding] | None = None,
    labels: Sequence[str] = (),
    int8_io: str = INT8,
) -> dict[str, Path]:
    """Writes `.tflite` files of a model; each is read again, run, and compared with the model.

    The outputs of a float32 file have to equal those of the model, up to rounding; the outputs of the others have to be
    finite, and `measure` returns their agreement. int8: Jacob et al. 2018, https://arxiv.org/abs/1712.05877, with one
    scale per output channel.

    >>> inputs = keras.Input((8,))
    >>> model = keras.Model(inputs, keras.layers.Dense(6, name='logits')(inputs))
    >>> export_tflite(model, folder, formats=['float32', 'dynamic'])['float32'].name
    'model_float32.tflite'

    Args:
      model: a functional or sequential float32 tf_keras model with inputs of fixed shape.
      folder: for the files `model_FORMAT.tflite`; it is created if it does not exist.
      formats: of 'float32', 'float16' (weights), 'dynamic' (int8 weights, activations quantized at run time), 'int8'
        (all), and 'mixed' (int4 and int8 weights, according to `encodings`). That of `quantize_post_training` can be
        exported as 'int8', and as 'mixed', the same file with the weights of 4 bits as int4.
      images: samples without labels, `[N, ...]`, preprocessed for the model; a few hundred from the training set.
        Required for 'int8', which calibrates the ranges of activations on all of them; files are checked on the first
        64, or on random numbers if none are given.
      encodings: codes of kernels on symmetric grids, from `quantize(..., symmetric=True)`, for 'mixed'.
      labels: names of the classes in the order of the outputs, for the metadata of the files, which MediaPipe and
        Android's Task library read.
      int8_io: what the int8 file takes and returns: 'int8' codes, or 'float32' values.

    Returns:
      Format -> path, in the order of `formats`.

    Raises:
      UsageError: a format is unknown or lacks a required argument, or the images do not fit the model.
      PocketFlowError: the model cannot be converted, or the check of a file fails. This file is invalid, and the
        following ones are not checked.
    """
    model = flat_model(model)
    names = _checked_formats(model, formats, images, encodings)
    images = images if images is None else checked_images(model, images)
    samples = images if images is not None else _random_samples(model)
    samples = take(samples, slice(NUM_CHECKED))
    outputs = keras_outputs(model, samples)
    evaluation = Evaluation(samples, outputs, model=model)
    Path(folder).mkdir(parents=True, exist_ok=True)
    if int8_io not in (INT8, FLOAT32):
        raise UsageError(f'int8_io={int8_io!r}: known: {INT8}, {FLOAT32}')
    metadata = _metadata(model, labels)
    source = Source(model, encodings or {}, images, functools.partial(convert, float_io=int8_io == FLOAT32))
    paths: dict[str, Path] = {}
    for name in names:
        paths |= export_files(source, [name], Path(folder))
        with replacing(paths[name]) as temporary:
            temporary.write_bytes(with_metadata(paths[name].read_bytes(), metadata))
        check_file(FileUnderTest(name, paths[name], evaluation))
    return paths


def _checked_formats(model: keras.Model, names: Sequence[str], images: Any, encodings: Any) -> list[str]:
    names = [names] if isinstance(names, str) else list(names)
    known = [name for name in formats if name != CONTAINER]
    for name in names:
        if name == CONTAINER:
            raise UsageError(f'format {name!r} is no .tflite file; use save_container(model, encodings, path)')
        if name not in known:
            raise UsageError(f'unknown format {name!r}; known: {", ".join(known)}')
    holds_ranges = is_quantization_aware(model)
    if CALIBRATED in names and images is None and not holds_ranges:
        raise UsageError(f'format {CALIBRATED!r} needs images: give a few hundred training samples without labels')
    if 'mixed' in names and not encodings and not holds_ranges:
        raise UsageError("format 'mixed' needs encodings: give those of quantize(model, bits, symmetric=True)")
    if not names:
        raise UsageError(f'no format is given; known: {", ".join(known)}')
    return names


def _metadata(model: keras.Model, labels: Sequence[str]) -> Metadata:
    """The description of the files.

    Raises:
      UsageError: the labels are not one for each value of the only output.
    """
    if not labels:
        return Metadata(model.name)
    sizes = [tensor.shape[-1] for tensor in model.outputs]
    if sizes != [len(labels)]:
        raise UsageError(f'{len(labels)} labels for outputs of {", ".join(map(str, sizes))} values; give one for each')
    (output,) = output_names(model)
    return Metadata(model.name, outputs={output: Tensor(output, has_labels=True)}, labels=list(map(str, labels)))


def _random_samples(model: keras.Model) -> Nest:
    rng = np.random.default_rng(0)

    def of_input(tensor: tf.Tensor) -> np.ndarray:
        if None in tensor.shape[1:]:
            raise UsageError(
                f'model {model.name!r} has an input of open shape {tuple(tensor.shape)}; give it a fixed shape'
            )
        return rng.normal(size=(NUM_CHECKED, *tensor.shape[1:])).astype(np.float32)

    return tf.nest.map_structure(of_input, model.input)


@dataclasses.dataclass(frozen=True)
class Measurement:
    """Measurements of one file or model; those that do not apply are None.

    Attributes:
      accuracy: share of the samples whose largest output is the one of their label, in [0, 1].
      agreement: share of the samples whose largest output is that of the reference model, in [0, 1].
      num_bytes: size of the file.
      latency_ms: median latency of a file in milliseconds, for one sample.
      latency_p90_ms: 90th percentile of the latency.
    """

    accuracy: float | None = None
    agreement: float | None = None
    num_bytes: int | None = None
    latency_ms: float | None = None
    latency_p90_ms: float | None = None


def measure(
    files: Measurable | Mapping[str, Measurable],
    images: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    reference: keras.Model | None = None,
    num_threads: int = 1,
    batch_size: int = 64,
    timing: Timing | None = DEFAULT_TIMING,
) -> Measurement | dict[str, Measurement]:
    """Runs `.tflite` files, or Keras models, on samples: accuracy, agreement, bytes, latency.

    Several files are timed alternately on the first sample, so that other load on the machine affects all equally:
    ratios of latencies are more reliable than the latencies.

    >>> inputs = keras.Input((8,))
    >>> model = keras.Model(inputs, keras.layers.Dense(8, kernel_initializer='identity')(inputs))
    >>> measure(model, np.eye(8), labels=np.array([0, 1, 2, 3, 4, 5, 6, 0]))
    Measurement(accuracy=0.875, agreement=None, num_bytes=None, latency_ms=None, latency_p90_ms=None)

    Args:
      files: the path of a `.tflite` file or a tf_keras model; or name -> path or model.
      images: samples `[N, ...]`, preprocessed for the networks; uint8 pixels for files that take these.
      labels: class numbers, integers `[N]`; required for the accuracy.
      reference: reference model for the agreement.
      num_threads: number of threads of LiteRT.
      batch_size: samples per call for the outputs; latencies are measured with one.
      timing: numbers of rounds and calls; `None` measures no latencies.

    Returns:
      One measurement, or name -> measurement if `files` is a mapping.

    Raises:
      UsageError: a file does not exist, or images or labels are invalid.
      PocketFlowError: LiteRT cannot run a file.
    """
    several = files if isinstance(files, Mapping) else {'': files}
    images = np.asarray(images)
    images = images if images.dtype == np.uint8 else np.asarray(images, np.float32)
    labels = None if labels is None else _checked_labels(labels, len(images))
    expected = None if reference is None else _outputs(reference, images, batch_size).argmax(-1)
    runners = {name: _runner(file, num_threads) for name, file in several.items()}
    answers = {name: _outputs(runner, images, batch_size).argmax(-1) for name, runner in runners.items()}
    timed = {name: runner for name, runner in runners.items() if isinstance(runner, LiteRtRunner)}
    latencies = time_alternating(timed, images[0], timing) if timed and timing is not None else {}
    found = {
        name: Measurement(
            accuracy=_share(answer, labels),
            agreement=_share(answer, expected),
            num_bytes=timed[name].num_bytes if name in timed else None,
            latency_ms=latencies[name].p50 if name in latencies else None,
            latency_p90_ms=latencies[name].p90 if name in latencies else None,
        )
        for name, answer in answers.items()
    }
    return found if isinstance(files, Mapping) else found['']


def _share(answers: np.ndarray, right: np.ndarray | None) -> float | None:
    return None if right is None else float(np.mean(answers == right))


def _checked_labels(labels: Any, num_images: int) -> np.ndarray:
    array = np.asarray(labels)
    if array.shape != (num_images,) or not np.issubdtype(array.dtype, np.integer):
        raise UsageError(
            f'labels of shape {array.shape} and type {array.dtype}: give {num_images} class numbers, one integer per '
            'image (labels.argmax(axis=1) of one-hot codes)'
        )
    return array


def _runner(file: Any, num_threads: int) -> LiteRtRunner | keras.Model:
    if isinstance(file, keras.Model):
        return file
    if not isinstance(file, (str, os.PathLike)):
        raise UsageError(f'cannot measure a {type(file).__name__}: give the path of a .tflite file or a tf_keras model')
    if not Path(file).is_file():
        raise UsageError(f'{file}: there is no such file; give a .tflite file or a tf_keras model')
    return LiteRtRunner(file, num_threads)


def _outputs(runner: LiteRtRunner | keras.Model, images: Nest, batch_size: int) -> np.ndarray:
    if isinstance(runner, LiteRtRunner):
        outputs = runner.predict(images, batch_size)
    else:
        outputs = keras_outputs(runner, checked_images(runner, images), batch_size)
    if not isinstance(outputs, np.ndarray):
        raise UsageError(f'the network has {len(outputs)} outputs; measure gives the accuracy of networks with one')
    return outputs
