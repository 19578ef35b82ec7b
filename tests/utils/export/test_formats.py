"""Formats by name: which converter and which encodings they go to."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.formats import Source, file_name, formats, weight_bits
from pocketflow.utils.export.inputs import PixelInput
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.quantization import BucketQuantizer
from pocketflow.utils.quantization.encoding import Buckets
from pocketflow.utils.quantization.post_training import quantize

KERNEL = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def encoding(quantizer):
    layer = keras.layers.Layer()
    quantizer.build(layer.add_weight, KERNEL.shape)
    return quantizer.encode(KERNEL)


@pytest.fixture(scope='module')
def model() -> keras.Model:
    inputs = keras.Input((3,))
    return keras.Model(inputs, keras.layers.Dense(4, name='dense')(inputs), name='net')


def test_names_of_files():
    assert [file_name(name) for name in ('int8', 'pfz', 'mixed')] == [
        'model_int8.tflite',
        'model.pfz',
        'model_mixed.tflite',
    ]
    assert set(formats) == {'float32', 'float16', 'dynamic', 'int8', 'mixed', 'pfz'}


def test_only_symmetric_grids_per_channel_of_few_bits_are_for_tflite():
    channel = Buckets('channel')
    encodings = {
        'symmetric': encoding(BucketQuantizer(4, channel, symmetric=True)),
        'asymmetric': encoding(BucketQuantizer(4, channel)),
        'one bucket': encoding(BucketQuantizer(4, Buckets(), symmetric=True)),
        'many bits': encoding(BucketQuantizer(9, channel, symmetric=True)),
    }
    assert weight_bits(encodings) == {'symmetric': 4}


def test_mixed_wants_such_a_kernel(model):
    with pytest.raises(PocketFlowError, match="model 'net' cannot be exported as mixed: no kernel of it is on a grid"):
        Source(model).content('mixed')


def test_the_converter_gets_its_arguments_and_the_file_is_tried(model):
    asked, tried = [], []

    def convert(*arguments):
        asked.append(arguments)
        return b'file'

    source = Source(model, calibration=KERNEL, convert=convert, try_out=lambda *arguments: tried.append(arguments))
    assert source.content('float16') == b'file'
    assert asked == [(model, 'float16', KERNEL, None)] and tried == [('float16', b'file')]
    assert source.content('pfz')[:3] == b'PFZ' and len(tried) == 1  # which LiteRT does not run


def test_a_file_that_cannot_be_run_is_refused(model):
    def refuse(file_format, content):
        raise PocketFlowError('crashes')

    with pytest.raises(PocketFlowError, match='crashes'):
        Source(model, convert=lambda *arguments: b'', try_out=refuse).content('float32')


def pixel_network(padding: str, *front: keras.layers.Layer) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = x = keras.Input((6, 6, 3))
    for layer in (*front, keras.layers.Conv2D(4, 3, padding=padding)):
        x = layer(x)
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))


@pytest.mark.parametrize(
    ('padding', 'in_float', 'in_int8'),
    [
        ('valid', ['CAST', 'CONV_2D'], ['QUANTIZE', 'CONV_2D']),
        ('same', ['CAST', 'MUL', 'SUB', 'CONV_2D'], ['QUANTIZE', 'DEPTHWISE_CONV_2D', 'CONV_2D']),
    ],
)
def test_pixels_are_normalised_by_the_first_layer_where_it_is_exact(padding, in_float, in_int8):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 6, 6, 3)).astype(np.uint8)
    model = pixel_network(padding)
    pixel_input = PixelInput(lambda images: tf.cast(images, tf.float32) / 127.5 - 1, tf.uint8, (6, 6, 3))
    source = Source(model, calibration=pixels, pixels=pixel_input)
    expected = np.asarray(model(pixel_input.normalised(pixels)))
    for name, kinds, tolerance in (('float32', in_float, 1e-5), ('int8', in_int8, 0.05)):
        runner = LiteRtRunner(source.content(name))
        assert runner.operators() == Counter([*kinds, 'RESHAPE', 'FULLY_CONNECTED']), name
        assert np.abs(runner.predict(pixels) - expected).max() < tolerance * np.ptp(expected)


def test_preprocessing_is_one_operation_in_int8_files_and_random_layers_are_in_none():
    images = np.random.default_rng(0).uniform(0, 255, (30, 6, 6, 3)).astype(np.float32)
    front = (keras.layers.RandomFlip(), keras.layers.Rescaling(1 / 127.5, offset=-1))
    kept, folded = pixel_network('same', *front), pixel_network('valid', *front)
    for model, kinds in ((kept, ['DEPTHWISE_CONV_2D', 'CONV_2D']), (folded, ['CONV_2D'])):
        runner = LiteRtRunner(Source(model, calibration=images).content('int8'))
        assert runner.operators() == Counter([*kinds, 'RESHAPE', 'FULLY_CONNECTED'])
        expected = np.asarray(model(images, training=False))
        assert np.abs(runner.predict(images) - expected).max() < 0.05 * np.ptp(expected)


def test_a_mixed_file_takes_pixels_too():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(16, 3, name='b')(keras.layers.Conv2D(16, 3, padding='same', name='a')(inputs))
    outputs = keras.layers.Dense(10, 'softmax')(keras.layers.GlobalAveragePooling2D()(x))
    quantized = quantize(keras.Model(inputs, outputs), bits=8, symmetric=True, bucket='channel', layers=['b'])
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3)).astype(np.uint8)
    unit = PixelInput(lambda images: tf.cast(images, tf.float32) / 255, tf.uint8, (8, 8, 3))
    runner = LiteRtRunner(Source(quantized.model, quantized.encodings, pixels=unit).content('mixed'))
    np.testing.assert_allclose(runner.predict(pixels), quantized.model(unit.normalised(pixels)), atol=0.01)
