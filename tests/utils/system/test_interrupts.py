from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest

from pocketflow.utils.system import interrupts

ROOT = Path(__file__).resolve().parents[3]


def send(signum: int) -> None:
    os.kill(os.getpid(), signum)


def child(code: str) -> subprocess.CompletedProcess[str]:
    """Runs code that has `interrupts` and `send` in a process of its own."""
    head = (
        'import logging, os, signal, sys, time\nfrom pocketflow.utils.system import interrupts\n'
        'from absl import logging as log\nlog.set_verbosity(log.INFO)\n'
        'def send(signum): os.kill(os.getpid(), signum)\n'
    )
    return subprocess.run(
        [sys.executable, '-c', head + code],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(('signum', 'code'), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_work_at_the_next_safe_point(signum: int, code: int):
    done = []
    with pytest.raises(interrupts.Interrupted) as stop, interrupts.watched():
        interrupts.check()
        send(signum)
        done.append('finished what was begun')
        interrupts.check()
        done.append('went on')
    assert stop.value.exit_code == code and done == ['finished what was begun']


def test_the_end_of_the_work_is_a_safe_point():
    with pytest.raises(interrupts.Interrupted), interrupts.watched():
        send(signal.SIGTERM)


class Thing:
    """Something that weak references can be made of."""


def test_no_signal_is_lost_in_a_callback_of_a_weak_reference():
    """An exception would be printed there, and forgotten."""
    called = []

    def on_death(_) -> None:
        send(signal.SIGTERM)
        called.append(sum(range(1000)))

    with pytest.raises(interrupts.Interrupted), interrupts.watched():
        thing = Thing()
        reference = weakref.ref(thing, on_death)
        del thing
        assert reference() is None and called
        with contextlib.suppress(Exception):
            interrupts.check()


def test_outside_of_watched_work_nothing_is_asked():
    before = signal.getsignal(signal.SIGTERM)
    interrupts.check()
    with contextlib.suppress(interrupts.Interrupted), interrupts.watched():
        send(signal.SIGTERM)
    interrupts.check()
    assert signal.getsignal(signal.SIGTERM) is before


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


def test_within_a_deferred_block_safe_points_leave_the_signal_to_it():
    with pytest.raises(interrupts.Interrupted), interrupts.watched(grace=0.05), interrupts.deferred() as outer:
        with interrupts.deferred() as inner:
            send(signal.SIGTERM)
            interrupts.check()
            time.sleep(0.3)  # it may take its time, too
        assert outer.signum == inner.signum == signal.SIGTERM
        outer.raise_if_requested()


def test_a_deferred_block_is_told_of_a_signal_that_came_before_it():
    told = []
    with pytest.raises(interrupts.Interrupted), interrupts.watched():
        send(signal.SIGTERM)
        with interrupts.deferred(lambda: told.append('now')) as signals:
            assert signals.signum == signal.SIGTERM and told
    assert len(told) <= 2


def test_whoever_catches_the_stop_of_a_deferred_block_goes_on_until_the_next_signal():
    with interrupts.watched(grace=0.05):
        for signum in interrupts.SIGNALS:
            with pytest.raises(interrupts.Interrupted) as stop, interrupts.deferred() as signals:
                send(signum)
                signals.raise_if_requested()
            assert stop.value.exit_code == 128 + signum
            interrupts.check()
            time.sleep(0.1)


def test_work_outside_python_is_told_at_once():
    told = []
    with interrupts.deferred(lambda: told.append(time.monotonic())):
        send(signal.SIGINT)
        end = time.monotonic() + 5
        while not told and time.monotonic() < end:
            time.sleep(0.01)
    assert len(told) == 1


def test_work_without_a_safe_point_is_ended_where_it_is():
    code = (
        'with interrupts.watched(grace=0.2):\n    send(signal.SIGTERM)\n    time.sleep(50)\n'
        '    time.sleep(50)\n    print("went on")\n'
    )
    ended = child(code)
    assert ended.returncode == 143 and ended.stdout == ''
    assert 'stopped by SIGTERM: the same command continues from what is written' in ended.stderr


def test_a_second_signal_ends_at_once_unless_it_is_an_echo_of_the_first():
    code = (
        'with interrupts.watched(same_request=0.5), interrupts.deferred():\n'
        '    send(signal.SIGINT)\n    time.sleep(0.1)\n    send(signal.SIGTERM)\n    time.sleep(0.7)\n'
        '    print("still here", flush=True)\n    send(signal.SIGTERM)\n    time.sleep(50)\n    time.sleep(50)\n'
    )
    ended = child(code)
    assert ended.returncode == 130 and ended.stdout == 'still here\n'
    assert 'stopped by SIGINT: asked twice' in ended.stderr


def test_ctrl_c_during_the_imports_raises_nothing():
    ended = child('interrupts.end_at_once()\nsend(signal.SIGINT)\ntime.sleep(50)\n')
    assert ended.returncode == -signal.SIGINT and ended.stderr == ''


def test_before_anything_has_begun_signals_end_the_process():
    with interrupts.watched():
        handlers = {signum: signal.getsignal(signum) for signum in interrupts.SIGNALS}
        with interrupts.ended_at_once():
            assert all(signal.getsignal(signum) is signal.SIG_DFL for signum in interrupts.SIGNALS)
        assert {signum: signal.getsignal(signum) for signum in interrupts.SIGNALS} == handlers


def test_a_signal_that_came_before_is_not_lost():
    with pytest.raises(interrupts.Interrupted), interrupts.watched():
        os.kill(os.getpid(), signal.SIGTERM)
        with interrupts.ended_at_once():
            pytest.fail('the block was entered')


def test_in_another_thread_signals_are_left_to_the_main_one():
    seen = []

    def work():
        with interrupts.deferred() as deferred:
            seen.append(deferred)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(seen) == 1
