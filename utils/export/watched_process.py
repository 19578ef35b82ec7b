"""The child process that converts and runs files, and the limits of its time and memory.

Memory is limited by watching the resident size of the child, which is killed beyond the limit. Resource limits are not
suitable: RLIMIT_AS and RLIMIT_DATA count address space, of which TensorFlow reserves many times what it uses (stacks of
threads, arenas of the allocator), so that a limit would either stop conversions that fit or none; Linux ignores
RLIMIT_RSS. Files that are mapped into memory are not counted, since the kernel can drop their pages. A child that grows
faster than it is watched meets the kernel's out-of-memory killer, for which it volunteers (`oom_score_adj`), so that
neither the run nor another program is chosen.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.system.child_process import module_command
from pocketflow.utils.system.memory import available_bytes, in_words, num_oom_kills, unreclaimable_bytes

TIME_LIMIT = 3600.0
"""Default time limit of one request (a conversion, or the run of a file on all samples), in seconds."""
SHARE_OF_MEMORY = 0.9
"""Default memory limit: this share of the memory that is available when a request begins."""
WATCH_SECONDS = 0.1
NO_GPU = 'cuInit'
"""In lines that TensorFlow writes wherever there is no GPU; they explain no crash."""
MODULE = 'pocketflow.utils.export.conversion_process'


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of one request.

    Attributes:
      seconds: its duration.
      num_bytes: resident memory of the child, mapped files excepted; `None`: `SHARE_OF_MEMORY` of what is available
        (no limit, if the system does not report that).
    """

    seconds: float = TIME_LIMIT
    num_bytes: int | None = None


class CrashError(Exception):
    """The process ended before it replied, or exceeded a limit; the message, a predicate, says how.

    Attributes:
      is_native: whether the code in the process crashed, which the same request would repeat.
    """

    def __init__(self, message: str, is_native: bool = False):
        super().__init__(message)
        self.is_native = is_native


class _Running:
    """A running process with its pipes; its stderr is written to a temporary file."""

    def __init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        self._num_oom_kills = num_oom_kills()
        path = os.pathsep.join(filter(None, sys.path))
        self._process = subprocess.Popen(
            module_command(MODULE),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, 'PYTHONPATH': path},
        )
        assert self._process.stdin and self._process.stdout, 'both are pipes'
        self._input, self._output = self._process.stdin, self._process.stdout
        self._num_read = 0

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def num_bytes(self) -> int:
        """Its memory; 0 if unknown."""
        return unreclaimable_bytes(self._process.pid) or 0

    def send(self, line: bytes) -> None:
        self._num_read = os.fstat(self._errors.fileno()).st_size
        self._input.write(line)
        self._input.flush()

    def read_line(self, seconds: float) -> bytes | None:
        """Reads a line, incomplete if the process has ended; `None` after `seconds` without data."""
        return self._output.readline() if select.select([self._output], [], [], seconds)[0] else None

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> CrashError:
        """Waits for the process, whose pipes have closed; returns how it ended."""
        code = self._process.wait()
        if code == -signal.SIGKILL:
            if num_oom_kills() > self._num_oom_kills:
                return CrashError(
                    'was killed by the kernel because the memory of the machine or its control group ran out (OOM '
                    'killer); export on a machine with more memory, or without this format'
                )
            return CrashError('was killed by another process (SIGKILL); the same command exports again')
        how = f'exit code {code}' if code >= 0 else signal.Signals(-code).name
        self._errors.seek(self._num_read)
        said = [
            line
            for line in self._errors.read().decode(errors='replace').splitlines()
            if ('error:' in line or 'Check failed' in line) and NO_GPU not in line
        ]
        message = f'crashed ({how})' + (f', saying {said[-1].strip()[:200]!r}' if said else '')
        return CrashError(message, is_native=code < 0)

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._input.close()
        self._output.close()
        self._process.wait()
        self._errors.close()


class ConversionProcess:
    """A child process that executes requests, started at the first one and restarted after a crash.

    It imports TensorFlow, which takes seconds: `start` starts the import in the background.
    """

    def __init__(self) -> None:
        self._process: _Running | None = None

    def start(self) -> None:
        self._running()

    def ask(self, action: str, limits: Limits = Limits(), seconds: float | None = None, **request: Any) -> None:
        """Sends a request and waits for the reply.

        Args:
          action: what is to be done.
          limits: of this request.
          seconds: what is left of the time limit, if it is one for several requests.
          request: the arguments of the action.

        Raises:
          PocketFlowError: the request failed.
          CrashError: the process crashed, was killed, or exceeded a limit.
        """
        process = self._running()
        line = json.dumps({'action': action, **request}) + '\n'
        try:
            process.send(line.encode())
        except BrokenPipeError:
            raise self._end(process) from None
        reply = json.loads(self._reply(process, limits, limits.seconds if seconds is None else seconds))
        if 'error' in reply:
            raise PocketFlowError(reply['error'])

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._forget(self._process)

    def _running(self) -> _Running:
        """The process; a new one, if it was killed while it had nothing to do."""
        if self._process is not None and self._process.has_ended:
            self._forget(self._process)
        if self._process is None:
            self._process = _Running()
        return self._process

    def _reply(self, process: _Running, limits: Limits, seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        most_bytes = limits.num_bytes or _default_memory(process)
        while (left := deadline - time.monotonic()) > 0:
            line = process.read_line(min(left, WATCH_SECONDS))
            if line is not None and not line.endswith(b'\n'):
                raise self._end(process)
            if line is not None:
                return line
            if most_bytes is not None and process.num_bytes > most_bytes:
                self._kill(process)
                raise CrashError(
                    f'took more than {in_words(most_bytes)} of memory and was ended; give a larger '
                    '--export_memory_limit, or export without this format'
                )
        self._kill(process)
        raise CrashError(f'took longer than {limits.seconds:g} seconds; give a larger --export_time_limit')

    def _kill(self, process: _Running) -> None:
        process.kill()
        self._forget(process)

    def _end(self, process: _Running) -> CrashError:
        crash = process.end()
        self._forget(process)
        return crash

    def _forget(self, process: _Running) -> None:
        process.close()
        self._process = None


def _default_memory(process: _Running) -> int | None:
    available = available_bytes()
    return None if available is None else int(SHARE_OF_MEMORY * (available + process.num_bytes))


@functools.cache
def conversion_process() -> ConversionProcess:
    """The conversion process of this program, shared by all exports, so that it imports TensorFlow once."""
    process = ConversionProcess()
    atexit.register(process.close)
    return process


def volunteer_for_oom_killer() -> None:
    """Makes this process the first that the kernel kills if memory runs out."""
    with contextlib.suppress(OSError):
        Path('/proc/self/oom_score_adj').write_text('1000', encoding='ascii')
