"""Converts a saved program to the bytes of a `.tflite` file, with one function per file format.

A program is a SavedModel with the data that the converter needs. It does not depend on Keras, so that another process
can convert it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.lite.python.convert import mlir_quantize

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.ranges import set_input_range, with_possible_ranges
from pocketflow.utils.registry import Registry

Calibration = Iterable[np.ndarray]
"""Float32 inputs [N, ...] without labels: one array, or an iterable of batches. For a network with several inputs, a
list of one array per input, in the order of `Program.inputs`."""

Convert = Callable[['Program', 'Calibration | None'], bytes]

file_formats: Registry[Convert, None] = Registry('file format')
"""File formats by name. An entry returns the bytes of a file: `entry(program, calibration)`."""


@dataclasses.dataclass(frozen=True)
class Program:
    """A network as a SavedModel.

    Attributes:
      folder: the SavedModel; its only function maps inputs [1, ...] to outputs [1, ...].
      name: of the Keras model, for messages.
      inputs: name -> shape of one sample.
      holds_ranges: whether it was trained for int8 and has activation ranges, so that it can be converted to int8 only.
      input_range: the values of the uint8 codes 0 and 255 of the int8 file's input; None: int8 codes of the range that
        the calibration finds.
      float_io: whether the int8 file returns float32 values, and takes them, unless it takes uint8 codes.
    """

    folder: Path
    name: str
    inputs: Mapping[str, tuple[int, ...]]
    holds_ranges: bool = False
    input_range: tuple[float, float] | None = None
    float_io: bool = False

    @property
    def int8_types(self) -> tuple[tf.DType, tf.DType]:
        """Types of the inputs and of the outputs of the int8 file."""
        outside = tf.float32 if self.float_io else tf.int8
        return outside if self.input_range is None else tf.uint8, outside


def convert_program(program: Program, file_format: str, calibration: Calibration | None = None) -> bytes:
    """The bytes of a program's file.

    Args:
      program: the program; one with activation ranges can be converted to 'int8' only.
      file_format: a name in `file_formats`.
      calibration: inputs from which 'int8' takes its activation ranges; the other formats ignore them.

    Raises:
      PocketFlowError: the format needs calibration data and none or invalid ones are given; or the converter fails.
    """
    entry = file_formats.get(file_format)
    if program.holds_ranges and file_format != 'int8':
        raise PocketFlowError(
            f'model {program.name!r} was trained for int8 arithmetic and cannot be converted to '
            f'{file_format}: choose --export_formats=int8'
        )
    try:
        return entry(program, calibration)
    except PocketFlowError:
        raise
    except Exception as error:  # the converter does not document its exceptions
        raise PocketFlowError(
            f'model {program.name!r} cannot be converted to {file_format}: {first_reason(str(error))}'
        ) from error


def _converter(program: Program) -> tf.lite.TFLiteConverter:
    return tf.lite.TFLiteConverter.from_saved_model(str(program.folder))


@file_formats.register('float32')
def _float32(program: Program, calibration: Calibration | None) -> bytes:
    """Float weights, float arithmetic: the converter's defaults."""
    return bytes(_converter(program).convert())


@file_formats.register('float16')
def _float16(program: Program, calibration: Calibration | None) -> bytes:
    """Float16 weights, float arithmetic."""
    converter = _converter(program)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return bytes(converter.convert())


@file_formats.register('dynamic')
def _dynamic(program: Program, calibration: Calibration | None) -> bytes:
    """Int8 weights; activations are float and quantized at run time."""
    converter = _converter(program)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(converter.convert())


@file_formats.register('int8')
def _int8(program: Program, calibration: Calibration | None) -> bytes:
    """Int8 weights and activations; inputs and outputs are integers, too, unless the program has float ones."""
    converter = _converter(program)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    input_type, output_type = program.int8_types
    converter.inference_input_type, converter.inference_output_type = input_type, output_type
    if program.holds_ranges:
        return bytes(converter.convert())
    if calibration is None:
        raise PocketFlowError(
            f'model {program.name!r} cannot be converted to int8 without calibration data: pass some training inputs'
        )
    converter.representative_dataset = lambda: _single_samples(calibration, program)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    # Calibration and quantization are run separately, as in TensorFlow's QuantizationDebugger, because the ranges can
    # only be corrected between the two.
    converter._experimental_calibrate_only = True
    calibrated = _possible_ranges(program, converter.convert())
    if program.input_range is not None:
        set_input_range(calibrated, *program.input_range)
    return bytes(mlir_quantize(bytes(calibrated), input_data_type=input_type, output_data_type=output_type))


def _possible_ranges(program: Program, calibrated: bytes) -> bytearray:
    try:
        return with_possible_ranges(calibrated)
    except PocketFlowError as error:
        raise PocketFlowError(f'model {program.name!r} cannot be converted to int8: {error}') from None


def _single_samples(calibration: Calibration, program: Program) -> Iterator[dict[str, np.ndarray]]:
    """The calibration data one sample at a time, in the converter's form: arrays [1, ...] by name of the input."""
    num_samples = 0
    for batch in _batches(calibration, list(program.inputs.values())):
        for array, expected in zip(batch, program.inputs.values(), strict=True):
            if np.shape(array)[1:] != expected:
                raise PocketFlowError(
                    f'calibration batch of shape {np.shape(array)}, but model {program.name!r} '
                    f'takes {(None, *expected)}; give inputs only, without labels'
                )
        for sample in zip(*(np.asarray(array, np.float32) for array in batch), strict=True):
            if not all(np.isfinite(array).all() for array in sample):
                raise PocketFlowError(
                    f'model {program.name!r} cannot be converted to int8: calibration sample '
                    f'{num_samples} holds values that are not finite; leave it out or repair it'
                )
            num_samples += 1
            yield {name: array[np.newaxis] for name, array in zip(program.inputs, sample, strict=True)}
    if not num_samples:
        raise PocketFlowError(f'the calibration data for model {program.name!r} are empty; pass some training inputs')


def _batches(calibration: Calibration, expected: Sequence[tuple[int, ...]]) -> Iterable[Sequence[np.ndarray]]:
    """Batches as lists with one array for each input."""
    if len(expected) > 1:
        return [list(calibration)]
    if isinstance(calibration, np.ndarray) and calibration.shape[1:] == expected[0]:
        return [[calibration]]
    return ([batch] for batch in calibration)


def first_reason(message: str) -> str:
    """The line of a converter's report with the reason of a failure: the first error, else the first line."""
    lines = [line.strip() for line in message.splitlines() if line.strip()] or ['no reason given']
    errors = [line for line in lines if 'error:' in line]
    return (errors or lines)[0][:300]
