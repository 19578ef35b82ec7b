"""Converts a Keras model to the bytes of a `.tflite` file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras
from absl import logging

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.inputs import PLAIN, Front, PixelInput
from pocketflow.utils.export.operators import float_operators
from pocketflow.utils.export.program import Calibration, Program, convert_program, file_formats
from pocketflow.utils.export.signature import input_names, output_names
from pocketflow.utils.graph.inputs import inputs_in_order
from pocketflow.utils.quantization.int8 import is_quantization_aware
from pocketflow.utils.system.quiet import quiet_native_output

BETWEEN_TYPES = ('QUANTIZE', 'DEQUANTIZE')
"""Operations at the ends of an int8 file with float inputs and outputs."""

__all__ = ['Calibration', 'convert', 'file_formats', 'save_program', 'warn_of_floats']


def convert(
    model: keras.Model,
    file_format: str,
    calibration: Calibration | None = None,
    pixels: PixelInput | None = None,
    *,
    float_io: bool = False,
) -> bytes:
    """Converts a functional float32 model; a quantization-aware one to 'int8' only.

    The file holds a batch of one sample, so that reshapes stay constant; `LiteRtRunner` resizes it. The converter runs
    in this process; `ConversionProcess` guards against one that crashes.

    Args:
      model: maps inputs [N, ...] to outputs [N, ...]; batch norm and dropout are converted as in inference. Several
        inputs or outputs are named in the file as in `pocketflow.utils.export.signature`.
      file_format: a name in `file_formats`; an unknown one raises a `UsageError` that lists them.
      calibration: inputs from which 'int8' takes its activation ranges; the other formats ignore them. Those of several
        inputs are a dict or tuple of arrays, as the model takes them.
      pixels: the normalisation, for a file that takes uint8 pixels; then `calibration` is an array of pixels, too.
      float_io: whether the int8 file takes and returns float32 values instead of int8 codes.

    Raises:
      PocketFlowError: the model has an open shape, or layers that are not float32; the format needs calibration data
        and none are given; or the converter fails.
    """
    file_formats.get(file_format)
    check_convertible(model)

    def convert_with(front: Front) -> bytes:
        inputs = calibration_in_order(model, calibration)
        if inputs is not None and front is not PLAIN:
            inputs = front.prepared(np.asarray(inputs))
        with tempfile.TemporaryDirectory() as folder, quiet_native_output():
            program = save_program(model, Path(folder), front, float_io)
            content = convert_program(program, file_format, inputs)
        if program.holds_ranges:
            warn_of_floats(program, content)
        return content

    return first_fulfilled(fronts(model, file_format, pixels), convert_with)


def fronts(model: keras.Model, file_format: str, pixels: PixelInput | None) -> list[Front]:
    """What the program of a model may begin with, the best first."""
    return [PLAIN] if pixels is None else pixels.fronts(file_format, is_quantization_aware(model))


def first_fulfilled(choices: Sequence[Front], convert_with: Callable[[Front], bytes]) -> bytes:
    """The file of the first front whose quantization it has.

    Raises:
      PocketFlowError: there is none.
    """
    for front in choices:
        content = convert_with(front)
        if front.is_in(content):
            return content
    raise PocketFlowError('the converter gives the input another quantization than that of pixels')


def save_program(model: keras.Model, folder: Path, front: Front = PLAIN, float_io: bool = False) -> Program:
    """Writes a model, with what its program begins with, as a SavedModel for the converter.

    Raises:
      PocketFlowError: the model cannot be converted.
    """
    check_convertible(model)
    holds_ranges, name = is_quantization_aware(model), model.name
    inputs = dict(zip(input_names(model), (tuple(tensor.shape[1:]) for tensor in model.inputs), strict=True))
    if holds_ranges:
        from pocketflow.utils.quantization.int8.conversion import (
            for_the_converter,  # loads TensorFlow Model Optimization
        )

        model = for_the_converter(model)
    # TFLiteConverter.from_keras_model first saves the entire Keras model, with traces of each layer: five times
    # slower than a tf.Module with the same variables.
    holder = tf.Module()
    holder.variables_of_model = model.variables
    specs = [tf.TensorSpec((1, *shape), front.dtype, name=name) for name, shape in inputs.items()]

    @tf.function
    def function(*images: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = model(tf.nest.pack_sequence_as(model.input, [*map(front.function, images)]), training=False)
        return dict(zip(output_names(model), tf.nest.flatten(outputs), strict=True))

    tf.saved_model.save(holder, str(folder), signatures=function.get_concrete_function(*specs))
    return Program(folder, name, inputs, holds_ranges, front.input_range, float_io)


def calibration_in_order(model: keras.Model, calibration: Calibration | None) -> Calibration | None:
    """Calibration inputs of several inputs as a list in the order of `model.inputs`; others as they are."""
    return calibration if calibration is None or len(model.inputs) == 1 else inputs_in_order(model, calibration)


def warn_of_floats(program: Program, content: bytes) -> None:
    """Warns of float operations in an int8 file, which were not simulated in training."""
    left = float_operators(content)
    for name in BETWEEN_TYPES if program.float_io else ():
        left.pop(name, None)
    if left:
        logging.warning(
            'the int8 file of %s computes some operations in float, which is slow: %s',
            program.name,
            ', '.join(f'{count} {name}' for name, count in sorted(left.items())),
        )


def check_convertible(model: keras.Model) -> None:
    """Rejects models that cannot be exported in any format.

    Raises:
      PocketFlowError: the model has an open shape, or layers that are not float32.
    """
    for tensor in model.inputs:
        if None in tensor.shape[1:]:
            raise PocketFlowError(
                f'model {model.name!r} has an input of open shape {tuple(tensor.shape)}; give the input layer a fixed '
                'shape'
            )
    for layer in model.layers:
        if layer.compute_dtype != 'float32':
            raise PocketFlowError(
                f'layer {layer.name!r} of model {model.name!r} computes in '
                f'{layer.compute_dtype}; rebuild the model in float32 before exporting it'
            )
