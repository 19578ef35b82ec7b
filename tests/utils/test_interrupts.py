from __future__ import annotations

import os
import signal

import pytest

from utils import interrupts


def test_raising_turns_signals_into_exit_codes():
    for signum, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        with pytest.raises(interrupts.Interrupted) as stop, interrupts.raising():
            os.kill(os.getpid(), signum)
        assert stop.value.exit_code == code


def test_deferred_lets_the_work_finish_and_restores_the_handlers():
    before = signal.getsignal(signal.SIGTERM)
    with interrupts.deferred() as signals:
        signals.raise_if_requested()
        os.kill(os.getpid(), signal.SIGTERM)
        finished = True
    assert finished
    with pytest.raises(interrupts.Interrupted):
        signals.raise_if_requested()
    assert signal.getsignal(signal.SIGTERM) is before
