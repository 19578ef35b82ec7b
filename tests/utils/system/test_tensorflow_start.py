"""TensorFlow is loaded without a word, unless debug messages are wanted."""

from __future__ import annotations

import contextlib

import pytest
import tensorflow as tf

from pocketflow.utils.system import tensorflow_start


@pytest.fixture
def quiet(monkeypatch) -> list[str]:
    """Whether the native output was silenced, and what was done with devices."""
    seen = []

    @contextlib.contextmanager
    def silenced():
        seen.append('quiet')
        yield

    monkeypatch.setattr(tensorflow_start, 'quiet_native_output', silenced)
    monkeypatch.setattr(tf.config, 'list_physical_devices', lambda: seen.append('devices'))
    monkeypatch.setattr(tf, 'zeros', lambda shape: seen.append('used'))
    for name in tensorflow_start.LAUNCHED:
        monkeypatch.delenv(name, raising=False)
    return seen


@pytest.mark.parametrize(('debug', 'seen'), [(False, ['quiet', 'devices', 'used']), (True, ['devices', 'used'])])
def test_debugging_is_not_quiet(quiet, monkeypatch, debug, seen):
    monkeypatch.setattr(tensorflow_start.logging, 'level_debug', lambda: debug)
    monkeypatch.delenv('TF_CPP_MIN_LOG_LEVEL', raising=False)
    tensorflow_start.load_tensorflow()
    assert quiet == seen
    assert tensorflow_start.os.environ['TF_CPP_MIN_LOG_LEVEL'] == ('0' if debug else '2')


def test_a_level_that_was_chosen_stays(quiet, monkeypatch):
    monkeypatch.setenv('TF_CPP_MIN_LOG_LEVEL', '1')
    tensorflow_start.load_tensorflow()
    assert tensorflow_start.os.environ['TF_CPP_MIN_LOG_LEVEL'] == '1'


@pytest.mark.parametrize('variable', tensorflow_start.LAUNCHED)
def test_workers_share_the_devices_out_before_they_use_one(quiet, monkeypatch, variable):
    monkeypatch.setenv(variable, '0')
    tensorflow_start.load_tensorflow()
    assert 'used' not in quiet and 'devices' in quiet
