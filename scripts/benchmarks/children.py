"""Measurements in child processes of one thread each, with a time limit, and the journal of their results."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pocketflow.utils.errors import UsageError

ONE_THREAD = dict.fromkeys(
    ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'TF_NUM_INTRAOP_THREADS', 'TF_NUM_INTEROP_THREADS'), '1'
)
WAITING = 6
"""Factor between the greatest duration of a child and its limit of processor time: the machine may have other load."""

Row = dict[str, Any]


def measured(command: Sequence[str], limit: int) -> Row:
    """Runs a benchmark in a child process, and returns the only row of the JSON that it prints last.

    Args:
      command: the benchmark with its arguments.
      limit: greatest processor time of the child, in seconds.

    Returns:
      The row with the child's `seconds` and `processor_seconds`. If the child fails, `failed` has the reason instead.
    """
    begin, used = time.perf_counter(), _processor_seconds()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **ONE_THREAD}
    ) as child:
        resource.prlimit(child.pid, resource.RLIMIT_CPU, (limit, limit + 10))
        try:
            output, errors = child.communicate(timeout=WAITING * limit)
            row = _row(child.returncode, output, errors, limit)
        except subprocess.TimeoutExpired:
            row = {'failed': f'takes more than {WAITING * limit} s'}
        finally:
            child.kill()
    row['seconds'] = round(time.perf_counter() - begin, 1)
    row['processor_seconds'] = round(_processor_seconds() - used, 1)
    return row


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _row(code: int, output: str, errors: str, limit: int) -> Row:
    if code == 0:
        (row,) = json.loads(output.splitlines()[-1])['rows']
        return dict(row)
    if -code == signal.SIGXCPU:
        return {'failed': f'takes more than {limit} s of processor time'}
    last = next(reversed(errors.strip().splitlines()), '')
    return {'failed': f'ended by {signal.Signals(-code).name}' if code < 0 else last.removeprefix('error: ')}


class Journal:
    """A file with one line of JSON per result, to which each is appended when it is there.

    Args:
      path: the file; None: results are not kept.
      settings: what results depend on.

    Attributes:
      rows: network -> its last result.

    Raises:
      UsageError: the file has results of other settings, or is no journal.
    """

    def __init__(self, path: str | None, settings: Mapping[str, Any]) -> None:
        self._path, self._settings = None if path is None else Path(path), dict(settings)
        self.rows: dict[str, Row] = {}
        *lines, self._torn = self._path.read_text('utf-8').split('\n') if self._path and self._path.exists() else ['']
        if self._torn and not lines:
            raise self._no_journal(1)
        for number, line in enumerate(lines, start=1):
            self._read(number, line)

    def add(self, row: Row) -> None:
        """Appends a result, in place of an incomplete one of a process that was killed while writing."""
        self.rows[row['network']] = row
        if self._path is None:
            return
        if self._torn:
            os.truncate(self._path, self._path.stat().st_size - len(self._torn.encode()))
            self._torn = ''
        with self._path.open('a', encoding='utf-8') as file:
            file.write(json.dumps({**self._settings, 'row': row}) + '\n')

    def _read(self, number: int, line: str) -> None:
        try:
            entry = json.loads(line)
            row = entry.pop('row')
            name = row['network']
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._no_journal(number) from None
        if entry != self._settings:
            raise UsageError(
                f'{self._path} has results of a run with {_described(entry)}, but this one has '
                f'{_described(self._settings)}; name another file'
            )
        self.rows[name] = row

    def _no_journal(self, number: int) -> UsageError:
        return UsageError(f'{self._path}: line {number} is no result of this benchmark; name another file')


def _described(settings: Mapping[str, Any]) -> str:
    return ' '.join(f'--{name}={value}' for name, value in settings.items())
