"""Conversions in another process: the same files, and crashes that cost one of them."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export import isolated
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.isolated import ConversionProcess, CrashError, conversion_process, isolated_conversions


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


def test_a_process_that_takes_too_long_is_ended(tmp_path):
    slow = ConversionProcess(time_limit=0.01)
    with pytest.raises(CrashError, match='took longer than 0.01 seconds'):
        slow.ask('convert', temporary=str(tmp_path))
    slow.close()


def test_the_end_of_a_process_is_described(tmp_path, monkeypatch):
    monkeypatch.setattr(isolated.sys, 'executable', '/bin/false')
    ended = ConversionProcess()
    with pytest.raises(CrashError, match=r'crashed \(exit code 1\)'):
        ended.ask('convert', temporary=str(tmp_path))


def test_there_is_one_process_for_all_exports():
    assert conversion_process() is conversion_process()
