"""Turning a Keras model into the bytes of a `.tflite` file, one function per file format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import tensorflow as tf
import tf_keras as keras
from absl import logging

from utils.errors import PocketFlowError
from utils.export.operators import float_operators
from utils.quantization_aware import is_quantization_aware
from utils.quiet import quiet_native_output
from utils.registry import Registry

Calibration = Iterable[np.ndarray]
"""Float32 inputs [N, ...] without labels: one array, or an iterable of batches."""

Configure = Callable[[tf.lite.TFLiteConverter, keras.Model, 'Calibration | None'], None]

file_formats = Registry('file format')
"""File formats by name. An entry sets up a converter: `entry(converter, model, calibration)`."""


def convert(model: keras.Model, file_format: str, calibration: Calibration | None = None) -> bytes:
    """Converts a functional float32 model with one input and one output; a quantization-aware one to 'int8' only.

    The file holds a batch of one sample, so that reshapes stay constant; `LiteRtRunner` resizes it.

    Args:
      model: maps [N, ...] to logits [N, nb_classes]; batch norm and dropout are converted as in inference.
      file_format: a name in `file_formats`; an unknown one raises a `UsageError` that lists them.
      calibration: inputs from which 'int8' takes its activation ranges; the other formats ignore them.

    Raises:
      PocketFlowError: the model has several inputs or outputs, an open shape, or layers that are not float32;
        the format needs calibration data and got none; or the converter refuses the model.
    """
    configure: Configure = file_formats.get(file_format)
    _check_convertible(model)
    if is_quantization_aware(model):
        return _convert_quantization_aware(model, file_format)
    return _convert(model, file_format, configure, calibration)


def _convert_quantization_aware(model: keras.Model, file_format: str) -> bytes:
    """The int8 file, with the ranges that training has found."""
    if file_format != 'int8':
        raise PocketFlowError(f'model {model.name!r} was trained for int8 arithmetic and cannot be converted to '
                              f'{file_format}: choose --export_formats=int8')
    from utils.quantization_aware.conversion import for_the_converter  # loads TensorFlow Model Optimization
    content = _convert(for_the_converter(model), file_format, _int8_arithmetic, None)
    if left := float_operators(content):
        logging.warning('the int8 file of %s computes some operations in float, which is slow: %s', model.name,
                        ', '.join(f'{count} {name}' for name, count in sorted(left.items())))
    return content


def _convert(model: keras.Model, file_format: str, configure: Configure, calibration: Calibration | None) -> bytes:
    try:
        with quiet_native_output():
            converter = _converter(model)
            configure(converter, model, calibration)
            return converter.convert()
    except PocketFlowError:
        raise
    except Exception as error:  # the converter raises whatever its passes raise
        raise PocketFlowError(f'model {model.name!r} cannot be converted to {file_format}: '
                              f'{_first_reason(str(error))}') from error


def _check_convertible(model: keras.Model) -> None:
    for kind, tensors in (('input', model.inputs), ('output', model.outputs)):
        if len(tensors) != 1:
            raise PocketFlowError(f'model {model.name!r} has {len(tensors)} {kind}s; '
                                  f'only models with one {kind} can be exported')
    if None in model.inputs[0].shape[1:]:
        raise PocketFlowError(f'model {model.name!r} has an input of open shape '
                              f'{tuple(model.inputs[0].shape)}; give the input layer a fixed shape')
    for layer in model.layers:
        if layer.compute_dtype != 'float32':
            raise PocketFlowError(f'layer {layer.name!r} of model {model.name!r} computes in '
                                  f'{layer.compute_dtype}; rebuild the model in float32 before exporting it')


def _converter(model: keras.Model) -> tf.lite.TFLiteConverter:
    # TFLiteConverter.from_keras_model saves the whole Keras model first, with all its per-layer traces: five
    # times slower than a bare module that holds the same variables.
    holder = tf.Module()
    holder.variables_of_model = model.variables
    spec = tf.TensorSpec((1, *model.inputs[0].shape[1:]), tf.float32, name='images')
    function = tf.function(lambda images: model(images, training=False)).get_concrete_function(spec)
    return tf.lite.TFLiteConverter.from_concrete_functions([function], holder)


@file_formats.register('float32')
def _float32(converter: tf.lite.TFLiteConverter, model: keras.Model, calibration: Calibration | None) -> None:
    """Float weights, float arithmetic: the converter's own defaults."""


@file_formats.register('float16')
def _float16(converter: tf.lite.TFLiteConverter, model: keras.Model, calibration: Calibration | None) -> None:
    """Float16 weights, float arithmetic."""
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


@file_formats.register('dynamic')
def _dynamic(converter: tf.lite.TFLiteConverter, model: keras.Model, calibration: Calibration | None) -> None:
    """Int8 weights; activations are float and quantized on the fly."""
    converter.optimizations = [tf.lite.Optimize.DEFAULT]


@file_formats.register('int8')
def _int8(converter: tf.lite.TFLiteConverter, model: keras.Model, calibration: Calibration | None) -> None:
    """Int8 weights, activations, input and output."""
    if calibration is None:
        raise PocketFlowError(f'model {model.name!r} cannot be converted to int8 without calibration data: '
                              'pass some training inputs')
    _int8_arithmetic(converter, model, calibration)
    converter.representative_dataset = lambda: _single_samples(calibration, model)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]


def _int8_arithmetic(converter: tf.lite.TFLiteConverter, model: keras.Model, calibration: Calibration | None) -> None:
    """As 'int8', for a model that holds its ranges."""
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8


def _single_samples(calibration: Calibration, model: keras.Model) -> Iterator[list[np.ndarray]]:
    """The calibration data one sample at a time, as the converter wants them: lists of one array [1, ...]."""
    expected = tuple(model.inputs[0].shape[1:])
    is_one_batch = isinstance(calibration, np.ndarray) and calibration.shape[1:] == expected
    nb_samples = 0
    for batch in [calibration] if is_one_batch else calibration:
        if np.shape(batch)[1:] != expected:
            raise PocketFlowError(f'calibration batch of shape {np.shape(batch)}, but model {model.name!r} '
                                  f'takes {(None, *expected)}; give inputs only, without labels')
        for sample in np.asarray(batch, np.float32):
            nb_samples += 1
            yield [sample[np.newaxis]]
    if not nb_samples:
        raise PocketFlowError(f'the calibration data for model {model.name!r} are empty; '
                              'pass some training inputs')


def _first_reason(message: str) -> str:
    """The line of a converter's report that says what is wrong: the first error, else the first line."""
    lines = [line.strip() for line in message.splitlines() if line.strip()] or ['no reason given']
    errors = [line for line in lines if 'error:' in line]
    return (errors or lines)[0][:300]
