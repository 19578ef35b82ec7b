from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.inputs import PixelInput
from pocketflow.utils.export.runner import LiteRtRunner, dequantize, num_usable_threads, quantize


@pytest.fixture(scope='module')
def content(net) -> bytes:
    return convert(net, 'float32')


def recurrent_net(layer: str) -> tuple[keras.Model, np.ndarray]:
    """A recurrent layer before a dense one, and six sequences for it that drive its state far from zero."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 3))
    model = keras.Model(inputs, keras.layers.Dense(4)(getattr(keras.layers, layer)(5)(inputs)))
    return model, 3 * np.random.default_rng(0).normal(size=(6, 6, 3)).astype(np.float32)


def test_quantize_by_hand():
    codes = quantize(np.float32([0, 1, -1, 0.26, 99, -99]), 0.5, -4, np.int8)
    assert codes.dtype == np.int8
    assert codes.tolist() == [-4, -2, -6, -3, 127, -128]


def test_dequantize_by_hand():
    values = dequantize(np.int8([-4, -2, 127]), 0.5, -4)
    assert values.dtype == np.float32
    assert values.tolist() == [0, 1, 65.5]


def test_integers_without_a_scale_are_rounded():
    assert quantize(np.float32([0.4, 7.6, 300]), 0.0, 0, np.uint8).tolist() == [0, 8, 255]


@pytest.mark.parametrize('file_format', ['float32', 'int8'])
def test_pixels_are_taken_as_they_are(net, images, file_format):
    """Code and value differ: pixel 100 is the code 100 of an input with the scale 1/64, whose value is 100/64."""
    shape = images.shape[1:]
    pixels = np.random.default_rng(0).integers(0, 256, (8, *shape)).astype(np.uint8)
    normalisation = PixelInput(lambda values: tf.cast(values, tf.float32) / 64, tf.uint8, shape)
    runner = LiteRtRunner(convert(net, file_format, pixels, normalisation))
    expected = np.asarray(net(pixels.astype(np.float32) / 64))
    assert np.abs(runner.predict(pixels) - expected).max() < 0.05 * np.ptp(expected)
    values = pixels.astype(np.float32) / (64 if file_format == 'int8' else 1)
    np.testing.assert_array_equal(runner.predict(values), runner.predict(pixels))


@pytest.mark.parametrize('batch_size', [1, 5, 23, 64])
def test_any_batch_size_gives_the_same_outputs_for_all_samples(content, images, logits, batch_size):
    outputs = LiteRtRunner(content).predict(images, batch_size)  # 23 samples: four batches of 5, one of 3
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs, logits, rtol=1e-4, atol=1e-5)


def test_int8_outputs_do_not_depend_on_the_batch(net, images):
    runner = LiteRtRunner(convert(net, 'int8', images))
    np.testing.assert_array_equal(runner.predict(images, 5), runner.predict(images, 1))


def test_single_calls_after_a_batch(content, images, logits):
    runner = LiteRtRunner(content)
    runner.predict(images, 8)
    runner.set_input(images[3:4])
    runner.invoke()
    np.testing.assert_allclose(runner.output(), logits[3:4], rtol=1e-4, atol=1e-5)


def test_a_file_with_a_constant_reshape_runs_sample_by_sample():
    inputs = keras.Input((4, 4, 2))
    outputs = keras.layers.Conv2D(3, 2)(keras.layers.Reshape((8, 4, 1))(keras.layers.ReLU()(inputs)))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(outputs)))
    images = np.random.default_rng(0).normal(size=(7, 4, 4, 2)).astype(np.float32)
    outputs = LiteRtRunner(convert(model, 'float32')).predict(images, 4)
    np.testing.assert_allclose(outputs, model(images), atol=1e-5)


@pytest.mark.parametrize('file_format', ['float32', 'dynamic'])
@pytest.mark.parametrize('layer', ['LSTM', 'GRU'])
def test_recurrent_layers_start_anew_with_each_sample(layer, file_format):
    model, samples = recurrent_net(layer)
    runner = LiteRtRunner(convert(model, file_format))
    expected = model(samples, training=False)
    np.testing.assert_allclose(runner.predict(samples, 1), expected, atol=1e-6)
    np.testing.assert_allclose(runner.predict(samples, 4), expected, atol=1e-6)
    for number in (5, 0):  # single calls, as they are timed
        runner.set_input(samples[number : number + 1])
        runner.invoke()
        np.testing.assert_allclose(runner.output()[0], expected[number], atol=1e-6)


def test_the_codes_of_an_int8_state_start_at_zero():
    model, samples = recurrent_net('LSTM')
    runner = LiteRtRunner(convert(model, 'int8', samples))
    together = runner.predict(samples, 1)
    np.testing.assert_array_equal(together[3:], runner.predict(samples[3:], 1))
    assert np.abs(together - model(samples)).max() < 0.05 * np.ptp(model(samples))


def test_a_file_on_disk_and_its_bytes_are_the_same(content, images, tmp_path):
    path = tmp_path / 'net.tflite'
    path.write_bytes(content)
    assert LiteRtRunner(path).num_bytes == path.stat().st_size == len(content)
    np.testing.assert_array_equal(LiteRtRunner(path).predict(images), LiteRtRunner(content).predict(images))


def test_operators_are_those_of_the_file_though_a_delegate_runs_them(content, images):
    runner = LiteRtRunner(content)
    runner.predict(images)
    assert runner.operators()['CONV_2D'] == 2
    assert 'DELEGATE' not in runner.operators()


def test_a_damaged_file_is_named(content, tmp_path):
    path = tmp_path / 'net.tflite'
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(
        PocketFlowError,
        match=r'net.tflite: LiteRT cannot load this file \(.+\); if it is damaged, '
        '--exec_mode=export writes it again',
    ):
        LiteRtRunner(path)
    with pytest.raises(PocketFlowError, match='the content: LiteRT cannot load this file'):
        LiteRtRunner(b'nonsense')


def test_a_file_that_cannot_be_run_is_named(content, images, tmp_path, monkeypatch):
    def fail():
        raise RuntimeError('failed to create XNNPACK runtime\nNode number 11')

    path = tmp_path / 'net.tflite'
    path.write_bytes(content)
    runner = LiteRtRunner(path)
    monkeypatch.setattr(runner._interpreter, 'invoke', fail)
    with pytest.raises(
        PocketFlowError,
        match=r'net.tflite: LiteRT cannot run this file \(failed to create XNNPACK '
        r'runtime\)',
    ):
        runner.predict(images)


def test_wrong_inputs_are_refused(content):
    with pytest.raises(PocketFlowError, match=r'shape \(2, 9, 9, 3\), but the file takes \(None, 8, 8, 3\)'):
        LiteRtRunner(content).predict(np.zeros((2, 9, 9, 3), np.float32))
    with pytest.raises(PocketFlowError, match='at least one sample'):
        LiteRtRunner(content).predict(np.zeros((0, 8, 8, 3), np.float32))


def test_there_is_a_usable_thread():
    assert num_usable_threads() >= 1
