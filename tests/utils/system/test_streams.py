from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

from pocketflow.utils.system.streams import say

ROOT = Path(__file__).resolve().parents[3]


def test_a_text_is_printed_at_once(capsys):
    stream = io.StringIO()
    say('a\nb')
    say('c', stream)
    assert (capsys.readouterr().out, stream.getvalue()) == ('a\nb\n', 'c\n')


def test_a_reader_that_has_gone_is_no_failure():
    """Nor is what other code prints to that stream afterwards, nor the end of the interpreter, which flushes it."""
    code = (
        'from pocketflow.utils.system.streams import say\nfor n in range(9): say("x" * 9999)\n'
        'print("y"); raise SystemExit(3)'
    )
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, '-c', code],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (3, '')
