"""MLServer as a child process: started on free ports of the loopback device, watched, and stopped."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.serving.clients import RestClient
from pocketflow.utils.system import interrupts
from pocketflow.utils.system.ports import LOOPBACK, free_ports

VARIABLE = 'POCKETFLOW_MLSERVER'
GRACE_S = 10.0
"""Seconds for the server to stop by itself."""
POLL_S = 0.2
SHOWN_LINES = 30
"""Lines of the server's log in a message."""
OWN_ENVIRONMENT = (
    'pip install "pocketflow[serve]", or install it into an environment of its own and give '
    f'--mlserver=ENVIRONMENT/bin/mlserver or {VARIABLE} (docs/serving.md)'
)


def find_mlserver(given: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """The executable of MLServer: the given one, that of the variable, of this environment, or of the path.

    Raises:
      UsageError: there is none.
    """
    named = given or environment.get(VARIABLE)
    if named:
        found = shutil.which(named)
        if found is None:
            flag = f'--mlserver={named}' if given else f'{VARIABLE}={named}'
            raise UsageError(f'{flag}: is no executable file; give the path of mlserver')
        return str(Path(found).absolute())
    found = shutil.which('mlserver', path=str(Path(sys.executable).parent)) or shutil.which('mlserver')
    if found is None:
        raise UsageError(f'MLServer is not installed: {OWN_ENVIRONMENT}')
    return found


class Server:
    """A running server.

    Attributes:
      http_port, grpc_port: where it listens.
    """

    def __init__(self, executable: str, folder: Path, workspace: Path):
        self.http_port, self.grpc_port, metrics_port = free_ports(3)
        self._log = workspace / 'log.txt'
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(('MLSERVER_', 'PYTHONPATH'))},
            'MLSERVER_HOST': LOOPBACK,
            'MLSERVER_HTTP_PORT': str(self.http_port),
            'MLSERVER_GRPC_PORT': str(self.grpc_port),
            'MLSERVER_METRICS_PORT': str(metrics_port),
            'PYTHONDONTWRITEBYTECODE': '1',  # the folder stays as it is
        }
        with self._log.open('wb') as log:
            # In a session of its own: a signal of the terminal reaches this process only, which stops the server.
            self._process = subprocess.Popen(
                [executable, 'start', str(folder.resolve())],
                cwd=workspace,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def log_tail(self) -> str:
        """The last lines that the server wrote."""
        lines = self._log.read_text(encoding='utf-8', errors='replace').splitlines()
        return '\n'.join(lines[-SHOWN_LINES:])

    def refuse_ended(self) -> None:
        """Raises a `PocketFlowError` if the server has ended."""
        code = self._process.poll()
        if code is not None:
            raise PocketFlowError(f'mlserver has ended with code {code}; the end of its log:\n{self.log_tail()}')

    def wait_until_ready(self, model: str, limit: float, stop: interrupts.Deferred) -> None:
        """Waits for the model.

        Raises:
          PocketFlowError: the server ends before, or needs more than `limit` seconds; with the end of its log.
        """
        end = time.monotonic() + limit
        with RestClient(self.http_port, model) as client:
            while not client.is_ready():
                stop.raise_if_requested()
                self.refuse_ended()
                if time.monotonic() > end:
                    told = f'the end of its log:\n{self.log_tail()}'
                    raise PocketFlowError(f'mlserver is not ready after {limit:g} s (--time_limit); {told}')
                time.sleep(POLL_S)

    def stop(self) -> None:
        """Stops the server and its workers: by a signal, after `GRACE_S` seconds by force."""
        self.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_S)
        self.kill()

    def terminate(self) -> None:
        """Asks the server to stop."""
        self._process.terminate()

    def kill(self) -> None:
        """Ends all processes of the server at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextlib.contextmanager
def running_server(
    executable: str, folder: Path, model: str, limit: float
) -> Iterator[tuple[Server, interrupts.Deferred]]:
    """(a server that is ready within the block and stopped after it, what to poll for a request to stop).

    Args:
      executable: of MLServer.
      folder: of the model.
      model: its name.
      limit: seconds to become ready.

    Raises:
      PocketFlowError: it does not become ready.
    """
    started: list[Server] = []

    def terminate() -> None:  # at the first signal; a second one ends this process without cleaning up
        for server in started:
            server.terminate()

    with tempfile.TemporaryDirectory(prefix='pocketflow-serve-') as workspace, interrupts.deferred(terminate) as stop:
        server = Server(executable, folder, Path(workspace))
        started.append(server)
        try:
            server.wait_until_ready(model, limit, stop)
            yield server, stop
        except PocketFlowError:
            stop.raise_if_requested()  # requests fail while the server stops
            raise
        finally:
            server.stop()
