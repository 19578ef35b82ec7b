"""SIGTERM and SIGINT to whole runs, at any time before training: none is lost."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pytest
import tf_keras as keras

from tests.conftest import PACKED, QUICK, TASK, run_main

ROOT = Path(__file__).resolve().parents[1]


class Thing:
    """Something that weak references can be made of."""


@pytest.mark.parametrize(('signum', 'nth', 'code'), [(signal.SIGTERM, 1, 143), (signal.SIGINT, 6, 130)])
def test_a_signal_within_a_callback_while_models_are_built(
    signum: int, nth: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Where Python prints exceptions, and goes on."""
    called, add_weight = [], keras.layers.Layer.add_weight

    def interrupted(self, *arguments, **more):
        called.append(self.name)
        if len(called) == nth:
            thing = Thing()
            reference = weakref.ref(thing, lambda _: os.kill(os.getpid(), signum))
            del thing
            gc.collect()
            assert reference() is None
        return add_weight(self, *arguments, **more)

    monkeypatch.setattr(keras.layers.Layer, 'add_weight', interrupted)
    outcome = run_main(*TASK, *QUICK, PACKED, f'--run_dir={tmp_path / "run"}', f'--zoo_dir={tmp_path / "zoo"}')
    assert len(called) >= nth and outcome.code == code, outcome.err
    assert f'stopped by {signal.Signals(signum).name}; the same command continues from here' in outcome.err
    assert not (tmp_path / 'run' / 'report.json').exists()


@pytest.mark.parametrize(('signum', 'code', 'seconds'), [(signal.SIGTERM, 143, 0.3), (signal.SIGINT, 130, 0.0)])
def test_a_signal_to_a_process_that_has_just_begun_its_work(signum: int, code: int, seconds: float, tmp_path: Path):
    command = [sys.executable, ROOT / 'main.py', *TASK, '--nb_epochs_rat=20', PACKED, f'--run_dir={tmp_path / "run"}']
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env={**os.environ, 'PYTHONPATH': str(ROOT)}
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / 'run' / 'flags.txt').exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(seconds)
    process.send_signal(signum)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert 'Traceback' not in errors and 'ignored' not in errors
