"""The server as a child process; a small script stands in for MLServer."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
import time
from pathlib import Path

import pytest

from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.serving.server import Server, find_mlserver, running_server
from pocketflow.utils.system import interrupts

READY = """\
import http.server, os, sys
assert sys.argv[1] == 'start', sys.argv
assert not any(name.startswith('MLSERVER_MODEL') for name in os.environ)
print('serving', sys.argv[2], flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
  def do_GET(self):
    self.send_response(200 if self.path == '/v2/models/m/ready' else 404)
    self.end_headers()
http.server.HTTPServer((os.environ['MLSERVER_HOST'], int(os.environ['MLSERVER_HTTP_PORT'])), Handler).serve_forever()
"""
FAILS = "print('no module named tflite')\nraise SystemExit(3)\n"
HANGS = "import time\nprint('loading', flush=True)\ntime.sleep(60)\n"


def executable(folder: Path, code: str) -> str:
    path = folder / 'mlserver'
    path.write_text(f'#!{sys.executable} -IS\n{code}')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def is_alive(server: Server) -> bool:
    try:
        os.kill(server._process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_is_ready_within_the_block_and_gone_after_it(tmp_path, monkeypatch):
    monkeypatch.setenv('MLSERVER_MODEL_NAME', 'other')
    with running_server(executable(tmp_path, READY), tmp_path, 'm', 20) as (server, _):
        server.refuse_ended()
        assert is_alive(server) and f'serving {tmp_path}' in server.log_tail()
    assert not is_alive(server)


def test_it_is_gone_after_a_failure(tmp_path):
    with (
        pytest.raises(ValueError, match='ours'),
        running_server(executable(tmp_path, READY), tmp_path, 'm', 20) as (server, _),
    ):
        raise ValueError('ours')
    assert not is_alive(server)


@pytest.mark.parametrize(
    ('code', 'limit', 'message'),
    [
        (FAILS, 20, 'ended with code 3; the end of its log:\nno module named tflite'),
        (HANGS, 0.5, 'not ready after 0.5 s'),
    ],
)
def test_its_log_is_shown_if_it_does_not_start(tmp_path, code, limit, message):
    with (
        pytest.raises(PocketFlowError, match=message),
        running_server(executable(tmp_path, code), tmp_path, 'm', limit),
    ):
        pass


def test_an_interrupt_stops_it(tmp_path):
    threading.Timer(0.4, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    start = time.monotonic()
    with (
        pytest.raises(interrupts.Interrupted),
        interrupts.watched(),
        running_server(executable(tmp_path, HANGS), tmp_path, 'm', 20),
    ):
        pass
    assert time.monotonic() - start < 5


def test_an_interrupt_goes_before_the_failures_of_requests_that_it_causes(tmp_path):
    with (
        pytest.raises(interrupts.Interrupted),
        interrupts.watched(),
        running_server(executable(tmp_path, READY), tmp_path, 'm', 20) as (server, _),
    ):
        os.kill(os.getpid(), signal.SIGINT)
        server._process.wait(5)  # told to stop at once
        raise PocketFlowError('connection refused')


def test_the_executable_is_given_or_found(tmp_path, monkeypatch):
    path = executable(tmp_path, READY)
    assert find_mlserver(path) == find_mlserver(None, {'POCKETFLOW_MLSERVER': path}) == path
    with pytest.raises(UsageError, match=r'--mlserver=none: is no executable file'):
        find_mlserver('none')
    with pytest.raises(UsageError, match='POCKETFLOW_MLSERVER=none: is no executable'):
        find_mlserver(None, {'POCKETFLOW_MLSERVER': 'none'})
    monkeypatch.setenv('PATH', str(tmp_path))
    assert find_mlserver(None, {}).endswith('mlserver')


def test_a_missing_mlserver_is_one_line_with_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.setattr(sys, 'executable', str(tmp_path / 'python'))
    with pytest.raises(UsageError, match=r'MLServer is not installed: pip install "pocketflow\[serve\]"') as raised:
        find_mlserver(None, {})
    assert '\n' not in str(raised.value)
