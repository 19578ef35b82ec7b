"""The child process: its limits, and how its end is described. The children are small shells, not TensorFlow."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export import watched_process
from pocketflow.utils.export.watched_process import ConversionProcess, CrashError, Limits, conversion_process

PLAIN = """
import json, os, signal, sys, time
for line in sys.stdin:
    request = json.loads(line)
    {action}
    print(json.dumps({{}}), flush=True)
"""


@pytest.fixture
def process(monkeypatch):
    """`process(action)`: a child that executes a line of Python for each request."""
    started = []

    def start(action: str) -> ConversionProcess:
        command = [sys.executable, '-c', PLAIN.format(action=action)]
        monkeypatch.setattr(watched_process, 'module_command', lambda name: command)
        started.append(ConversionProcess())
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_a_reply_and_an_error(process):
    process('pass').ask('convert')
    with pytest.raises(PocketFlowError, match='^broken$'):
        process('print(json.dumps({"error": "broken"}), flush=True)').ask('convert')


def test_a_process_that_takes_too_long_is_ended(process):
    with pytest.raises(
        CrashError, match=r'^took longer than 0\.05 seconds; give a larger --export_time_limit'
    ) as caught:
        process('time.sleep(60)').ask('convert', Limits(seconds=0.05))
    assert not caught.value.is_native
    with pytest.raises(CrashError, match=r'^took longer than 60 seconds'):
        process('time.sleep(60)').ask('convert', Limits(seconds=60), seconds=0.05)


def test_a_process_that_takes_too_much_memory_is_ended_and_the_next_request_served(process):
    one = process('kept = b"x" * request["size"]; time.sleep(request["pause"])')
    limits = Limits(num_bytes=100 * 10**6)
    with pytest.raises(
        CrashError, match='^took more than 100 MB of memory and was ended; give a larger --export_memory_limit'
    ):
        one.ask('convert', limits, size=200 * 10**6, pause=60)
    one.ask('convert', limits, size=1000, pause=0)


def test_the_default_is_a_share_of_the_available_memory(process, monkeypatch):
    monkeypatch.setattr(watched_process, 'available_bytes', lambda: 10**8)
    with pytest.raises(CrashError, match=r'took more than (9\d|10\d) MB of memory'):
        process('kept = b"x" * 200 * 10**6; time.sleep(60)').ask('convert')
    monkeypatch.setattr(watched_process, 'available_bytes', lambda: None)
    process('kept = b"x" * 200 * 10**6').ask('convert')


def test_crashes_are_told_from_exits(process):
    with pytest.raises(CrashError, match=r'^crashed \(SIGSEGV\)$') as caught:
        process('os.kill(os.getpid(), signal.SIGSEGV)').ask('convert')
    assert caught.value.is_native
    with pytest.raises(CrashError, match=r"^crashed \(exit code 3\), saying 'loc: error: no such'$") as caught:
        process('sys.stderr.write("loc: error: no such\\nE000: error: failed call to cuInit\\n"); sys.exit(3)').ask(
            'convert'
        )
    assert not caught.value.is_native


def test_what_was_said_before_the_request_explains_nothing(process):
    one = process('sys.stderr.write("error: old\\n"); sys.stderr.flush(); request["die"] and sys.exit(1)')
    one.ask('convert', die=False)
    one = process('request["die"] and sys.exit(1); sys.stderr.write("error: old\\n"); sys.stderr.flush()')
    one.ask('convert', die=False)
    with pytest.raises(CrashError, match=r'^crashed \(exit code 1\)$'):
        one.ask('convert', die=True)


@pytest.mark.parametrize(
    ('num_kills', 'how'),
    [(0, r'^was killed by another process \(SIGKILL\)'), (1, r'^was killed by the kernel because the memory .*OOM')],
)
def test_who_killed_it(num_kills, how, process, monkeypatch):
    counts = iter([7, 7 + num_kills])
    monkeypatch.setattr(watched_process, 'num_oom_kills', lambda: next(counts))
    with pytest.raises(CrashError, match=how):
        process('os.kill(os.getpid(), signal.SIGKILL)').ask('convert')


def test_a_process_that_is_killed_while_idle_costs_nothing(process, tmp_path):
    one, note = process('open(request["path"], "w").write(str(os.getpid()))'), tmp_path / 'number'
    one.ask('convert', path=str(note))
    first = int(note.read_text())
    os.kill(first, signal.SIGKILL)
    while not one._process.has_ended:
        time.sleep(0.01)
    one.ask('convert', path=str(note))
    assert int(note.read_text()) != first


def test_there_is_one_process_for_all_exports():
    assert conversion_process() is conversion_process()
