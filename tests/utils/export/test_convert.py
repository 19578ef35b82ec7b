from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.export.convert import convert, file_formats
from pocketflow.utils.export.runner import LiteRtRunner

LARGEST_RELATIVE_DIFFERENCE = {'float32': 1e-5, 'float16': 2e-3, 'dynamic': 0.03, 'int8': 0.05}


def test_every_format_is_tested():
    assert set(file_formats) == set(LARGEST_RELATIVE_DIFFERENCE)


@pytest.mark.parametrize('file_format', LARGEST_RELATIVE_DIFFERENCE)
def test_file_computes_what_the_model_computes(net, images, logits, file_format):
    outputs = LiteRtRunner(convert(net, file_format, images)).predict(images)
    difference = np.abs(outputs - logits).max() / np.ptp(logits)
    assert difference < LARGEST_RELATIVE_DIFFERENCE[file_format]
    assert (difference > 1e-6) == (file_format != 'float32')


def test_int8_is_integer_outside_the_other_formats_are_float(net, images):
    int8, dynamic = (LiteRtRunner(convert(net, file_format, images)) for file_format in ('int8', 'dynamic'))
    assert int8.input_dtype is np.int8 and int8.output_dtype is np.int8
    assert dynamic.input_dtype is np.float32 and dynamic.output_dtype is np.float32


def test_int8_with_float_ends_computes_the_same(net, images):
    files = [convert(net, 'int8', images, float_io=float_io) for float_io in (False, True)]
    codes, values = map(LiteRtRunner, files)
    assert values.input_dtype is np.float32 and values.output_dtype is np.float32
    assert values.operators() - codes.operators() == {'QUANTIZE': 1, 'DEQUANTIZE': 1}
    np.testing.assert_array_equal(values.predict(images), codes.predict(images))


def test_smaller_formats_give_smaller_files(net, images):
    net = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64)], name='dense')
    data = np.ones((2, 64), np.float32)
    sizes = {file_format: len(convert(net, file_format, data)) for file_format in file_formats}
    assert sizes['float32'] > sizes['float16'] > sizes['int8']
    assert sizes['float16'] > sizes['dynamic']


@pytest.mark.parametrize(
    'shape_calibration',
    [
        pytest.param(lambda images: [images[:4], images[4:5]], id='batches'),
        pytest.param(lambda images: (batch for batch in [images[:5]]), id='generator'),
        pytest.param(lambda images: tf.data.Dataset.from_tensor_slices(images[:5]).batch(2), id='tf.data'),
    ],
)
def test_calibration_may_come_in_batches(net, images, shape_calibration):
    assert convert(net, 'int8', shape_calibration(images)) == convert(net, 'int8', images[:5])


def test_int8_needs_calibration(net, images):
    with pytest.raises(PocketFlowError, match="'residual' cannot be converted to int8 without calibration"):
        convert(net, 'int8')
    with pytest.raises(PocketFlowError, match="the calibration data for model 'residual' are empty"):
        convert(net, 'int8', [])
    with pytest.raises(PocketFlowError, match=r"\(2, 5\), but model 'residual' takes \(None, 8, 8, 3\)"):
        convert(net, 'int8', [images[:2], np.zeros((2, 5))])


def test_unknown_format_lists_the_known_ones(net):
    with pytest.raises(UsageError, match="'int9'; known: dynamic, float16, float32, int8"):
        convert(net, 'int9')


def test_open_shape_and_other_precision_are_refused():
    with pytest.raises(PocketFlowError, match=r"'open' has an input of open shape \(None, None, 3\)"):
        convert(keras.Sequential([keras.Input((None, 3)), keras.layers.ReLU()], name='open'), 'float32')
    low = keras.layers.Dense(2, dtype='mixed_bfloat16', name='low')
    with pytest.raises(PocketFlowError, match="layer 'low' of model 'mixed' computes in bfloat16; rebuild"):
        convert(keras.Sequential([keras.Input((3,)), low], name='mixed'), 'float32')


def test_a_model_that_cannot_be_converted_fails_in_one_line():
    inputs = keras.Input((4, 4, 1))
    patches = keras.layers.Lambda(
        lambda images: tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=[[1.0, 0, 0, 0, 1, 0, 0, 0]],
            output_shape=[4, 4],
            fill_value=0.0,
            interpolation='NEAREST',
        )
    )(inputs)
    with pytest.raises(PocketFlowError) as caught:
        convert(keras.Model(inputs, patches, name='odd'), 'float32')
    message = str(caught.value)
    assert message.startswith("model 'odd' cannot be converted to float32: ")
    assert 'ImageProjectiveTransformV3' in message and '\n' not in message


def test_conversion_is_silent(net, images, capfd):
    convert(net, 'int8', images[:2])
    assert capfd.readouterr() == ('', '')
