from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from ai_edge_litert.interpreter import Interpreter

from pocketflow.datasets import cifar10_dataset
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.inputs import PixelInput, affine_map, as_pixels
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.quantization.int8.wrapping import quantization_aware

SHAPE = (8, 8, 3)
PIXELS = np.random.default_rng(0).integers(0, 256, (40, *SHAPE)).astype(np.uint8)


def unit(images: tf.Tensor) -> tf.Tensor:
    return tf.cast(images, tf.float32) / 255


def symmetric(images: tf.Tensor) -> tf.Tensor:
    return tf.cast(images, tf.float32) / 127.5 - 1


def around_128(images: tf.Tensor) -> tf.Tensor:
    return (tf.cast(images, tf.float32) - 128) / 64


def cifar10(images: tf.Tensor) -> tf.Tensor:
    return (tf.cast(images, tf.float32) - cifar10_dataset.MEAN) / cifar10_dataset.STD


def caffe(images: tf.Tensor) -> tf.Tensor:
    return tf.cast(images, tf.float32)[..., ::-1] - (103.939, 116.779, 123.68)


NORMALISATIONS = (unit, symmetric, around_128, cifar10, caffe, tf.image.per_image_standardization)


def pixel_input(normalize) -> PixelInput:
    return PixelInput(normalize, tf.uint8, SHAPE)


@pytest.fixture(scope='module')
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE)
    x = keras.layers.Conv2D(6, 3, padding='same', activation='relu')(inputs)
    x = keras.layers.Flatten()(keras.layers.AveragePooling2D(4)(x))
    return keras.Model(inputs, keras.layers.Dense(4, activation='softmax')(x))


def plain_outputs(content: bytes) -> tuple[np.ndarray, tuple[float, int]]:
    """What LiteRT computes for the pixels as they are, float32 `[N, 4]`, and the quantization of the input."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    outputs = []
    for image in PIXELS:
        interpreter.set_tensor(source['index'], image[np.newaxis])  # an error unless the file takes uint8
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(result['index'])[0].astype(np.float32))
    scale, zero_point = result['quantization']
    values = (np.array(outputs) - zero_point) * scale if scale else np.array(outputs)
    return values, source['quantization']


def test_affine_maps_are_found():
    found = affine_map(cifar10, SHAPE)
    np.testing.assert_allclose(found.scales, 1 / np.array(cifar10_dataset.STD), rtol=1e-6)
    np.testing.assert_allclose(found.offset, [-125.3 / 63, -123 / 62.1, -113.9 / 66.7], rtol=1e-6)
    swapped = affine_map(caffe, SHAPE)
    np.testing.assert_allclose(swapped.matrix, np.eye(3)[::-1], atol=1e-6)
    assert swapped.scales is None
    np.testing.assert_allclose(swapped(PIXELS[0]), caffe(PIXELS[0]), atol=1e-3)
    assert affine_map(tf.image.per_image_standardization, SHAPE) is None
    assert affine_map(lambda images: unit(images) ** 2, SHAPE) is None
    assert affine_map(lambda images: unit(images) * tf.reshape(tf.range(8.0), (8, 1, 1)), SHAPE) is None


def test_the_quantization_of_pixels():
    assert affine_map(around_128, SHAPE).quantization == (1 / 64, 128)  # pixel 192 is code 192: (192 - 128) / 64 = 1
    assert affine_map(unit, SHAPE).quantization == (pytest.approx(1 / 255), 0)
    assert affine_map(lambda images: tf.cast(images, tf.float32), SHAPE).quantization == (1.0, 0)
    for none in (symmetric, cifar10, caffe, lambda images: -unit(images), lambda images: unit(images) + 1):
        assert affine_map(none, SHAPE).quantization is None  # its zero point would be 127.5, or differs by channel, ...


@pytest.mark.parametrize('normalize', NORMALISATIONS)
def test_a_float_file_takes_pixels(normalize, model):
    pixels = pixel_input(normalize)
    content = convert(model, 'float32', pixels=pixels)
    outputs, _ = plain_outputs(content)
    np.testing.assert_allclose(outputs, model(normalize(PIXELS)), atol=1e-5)


@pytest.mark.parametrize(
    ('normalize', 'quantization'),
    [(unit, (1 / 255, 0)), (around_128, (1 / 64, 128)), (symmetric, (1, 0)), (cifar10, (1, 0)), (caffe, (1, 0))],
)
def test_an_int8_file_takes_pixels_as_codes(normalize, quantization, model):
    """With a quantization that is the normalisation, or behind a convolution that computes it."""
    outputs, found = plain_outputs(convert(model, 'int8', PIXELS, pixel_input(normalize)))
    assert found == (pytest.approx(quantization[0]), quantization[1])
    assert np.abs(outputs - model(normalize(PIXELS))).max() < 0.03


def test_an_int8_file_of_a_model_that_was_trained_for_it_takes_pixels(model):
    aware = quantization_aware(model, np.asarray(cifar10(PIXELS)))
    outputs, found = plain_outputs(convert(aware, 'int8', PIXELS, pixel_input(cifar10)))
    assert found == (1, 0) and np.abs(outputs - aware(cifar10(PIXELS))).max() < 0.01


def test_an_input_that_shares_its_scale_with_others_is_converted_by_a_convolution():
    inputs = keras.Input(SHAPE)
    padded = keras.layers.Conv2D(3, 3, name='conv')(keras.layers.ZeroPadding2D()(inputs))
    both = keras.layers.Concatenate()([inputs, padded])
    model = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.Flatten()(both)))
    outputs, _ = plain_outputs(convert(model, 'int8', PIXELS, pixel_input(unit)))
    expected = np.asarray(model(unit(PIXELS)))
    assert np.abs(outputs - expected).max() < 0.05 * np.ptp(expected)


def test_what_int8_cannot_normalise_is_refused(model):
    with pytest.raises(PocketFlowError, match='cannot take uint8 pixels, because .* give --export_input=normalised'):
        convert(model, 'int8', PIXELS, pixel_input(tf.image.per_image_standardization))


def test_pixels_are_rounded_and_checked():
    assert as_pixels(PIXELS) is PIXELS
    np.testing.assert_array_equal(as_pixels(np.array([0.4, 0.6, 254.7, 255.4])), [0, 1, 255, 255])
    np.testing.assert_array_equal(as_pixels(np.array([0, 16], np.int32)), [0, 16])
    for values in ([-1.0, 3.0], [0.0, 256.0], [0.0, 0.3, 1.0]):
        with pytest.raises(UsageError, match='--export_input=uint8: the images have values from'):
            as_pixels(np.array(values))


def test_normalised_pixels_are_those_of_training():
    pixels = PixelInput(lambda images: images / 255, tf.float32, SHAPE)
    np.testing.assert_array_equal(pixels.normalised(PIXELS), PIXELS.astype(np.float32) / np.float32(255))


def test_a_network_of_float_pixels(model):
    network = pixel_input(cifar10).with_float_pixels(model)
    np.testing.assert_allclose(network(PIXELS.astype(np.float32)), model(cifar10(PIXELS)), atol=1e-5)
    assert pixel_input(tf.image.per_image_standardization).with_float_pixels(model) is None


@pytest.mark.parametrize('holds_ranges', [False, True])
def test_int8_of_pixels_with_float_outputs(model, holds_ranges, caplog):
    """The pixels stay the codes of the input; only the outputs are converted."""
    pixels = pixel_input(around_128)
    if holds_ranges:
        model = quantization_aware(model, pixels.normalised(PIXELS))
    codes, values = (
        LiteRtRunner(convert(model, 'int8', PIXELS, pixels, float_io=float_io)) for float_io in (False, True)
    )
    assert values.input_dtype is np.uint8 and values.output_dtype is np.float32
    np.testing.assert_array_equal(values.predict(PIXELS), codes.predict(PIXELS))
    assert 'in float' not in caplog.text
