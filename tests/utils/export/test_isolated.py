"""Conversions in another process: the same files, and crashes that cost one of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export import isolated
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.isolated import isolated_conversions
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.export.watched_process import CrashError


@pytest.mark.parametrize('file_format', ['float32', 'int8'])
def test_files_are_those_that_this_process_would_make(file_format, net, images, tmp_path):
    with isolated_conversions(tmp_path, images[:2]) as conversions:
        content = conversions.convert(net, file_format, images)
        conversions.try_out(file_format, content)
    assert content == convert(net, file_format, images)
    assert not list(tmp_path.iterdir())


def test_a_crash_is_one_line_and_the_next_model_is_converted(net, images, tmp_path):
    """The calibrator of TensorFlow Lite dies of loops."""
    inputs = keras.Input((6, 3))
    looping = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.GRU(5, name='memory')(inputs)), name='looping')
    sequences = np.ones((3, 6, 3), np.float32)
    with isolated_conversions(tmp_path, images[:2]) as conversions:
        with pytest.raises(
            PocketFlowError,
            match=r"'looping' cannot be converted to int8: the converter crashed \("
            r'SIG.*recurrent layers \(memory\) run as loops.* unroll=True',
        ) as caught:
            conversions.convert(looping, 'int8', sequences)
        assert '\n' not in str(caught.value)
        assert conversions.convert(net, 'float32') == convert(net, 'float32')


def test_what_a_killed_process_left_is_removed(net, images, tmp_path):
    (tmp_path / 'conversion.tmp' / 'program').mkdir(parents=True)
    with isolated_conversions(tmp_path, images[:2]):
        assert not list((tmp_path / 'conversion.tmp').iterdir())
    assert not list(tmp_path.iterdir())


def test_a_file_that_lite_rt_refuses_is_named(images, tmp_path):
    with (
        isolated_conversions(tmp_path, images[:2]) as conversions,
        pytest.raises(PocketFlowError, match='^model_int8.tflite: LiteRT cannot load this file'),
    ):
        conversions.try_out('int8', b'nonsense')


def test_the_layer_that_crashes_the_converter_is_named(net, images, tmp_path, monkeypatch):
    """A crash that depends on one layer, whose place is found by converting parts of the network."""
    relu = next(layer.name for layer in net.layers if isinstance(layer, keras.layers.ReLU))
    with isolated_conversions(tmp_path, images[:2]) as conversions:

        def converted(part, file_format, calibration, front):
            tried.append(len(part.layers))
            if any(layer.name == relu for layer in part.layers):
                raise CrashError('crashed (SIGSEGV)', is_native=True)
            return b''

        tried = []
        monkeypatch.setattr(conversions, '_converted', converted)
        with pytest.raises(
            PocketFlowError,
            match=r'cannot be converted to float16: the converter crashed \(SIGSEGV\); it begins to crash with layer '
            rf"'{relu}': replace it, or export another format$",
        ):
            conversions.convert(net, 'float16')
        assert 1 < len(tried) < len(net.layers)


@pytest.mark.parametrize('chunk', [isolated.CHUNK_BYTES, 1])
def test_outputs_are_those_of_this_process(chunk, net, images, tmp_path, monkeypatch):
    monkeypatch.setattr(isolated, 'CHUNK_BYTES', chunk)
    file = tmp_path / 'net.tflite'
    file.write_bytes(convert(net, 'float32'))
    with isolated_conversions(tmp_path, images[:2]) as conversions:
        outputs = conversions.predict(file, images, 2)
    np.testing.assert_array_equal(outputs, LiteRtRunner(file).predict(images, 2))


def test_a_file_that_crashes_the_runtime_is_named(images, tmp_path, monkeypatch):
    def crash(*_, **__):
        raise CrashError('crashed (SIGSEGV)', is_native=True)

    monkeypatch.setattr(isolated.ConversionProcess, 'ask', crash)
    with isolated_conversions(tmp_path, images[:2]) as conversions:
        for run in (lambda path: conversions.predict(path, images, 2), lambda path: conversions.try_file(path, {})):
            with pytest.raises(PocketFlowError, match=r'^bad\.tflite cannot be run: LiteRT crashed \(SIGSEGV\)$'):
                run(Path('bad.tflite'))
