"""Starts one worker on this host and looks after it; `launch.py` starts one agent per worker, over ssh on other hosts.

What to start comes as one line of JSON through the standard input: no shell sees the words, and no command line shows
the environment. The lines that follow, TERM, INT or KILL, are what the worker shall be sent. When the input ends, the
launcher is gone: the worker is asked to stop. The agent ends with the exit code of the worker, 128 + N if signal N
killed it.

It runs without the project's packages, so that it also starts quickly on a host that is slow to read them.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading

CANNOT_START = 127
SIOCGIFADDR = 0x8915
SIGNALS = {'TERM': signal.SIGTERM, 'INT': signal.SIGINT, 'KILL': signal.SIGKILL}


def address_towards(server: str) -> str:
    """The address that this host has in the network through which it reaches the server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((server, 9))  # sends nothing
        return probe.getsockname()[0]


def interface_towards(server: str) -> str:
    """Name of the network interface through which this host reaches the server; hosts may name theirs differently."""
    address = socket.inet_aton(address_towards(server))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack('256s', name.encode()[:15])
            try:
                found = fcntl.ioctl(probe, SIOCGIFADDR, request)[20:24]
            except OSError:  # an interface without an address
                continue
            if found == address:
                return name
    raise OSError(f'no network interface leads to {server}')


class Worker:
    """A running worker.

    Args:
      job: `command` (list of words), `cwd`, `env` (added to this host's), `server` (address of the rendezvous; sets
        `HOROVOD_GLOO_IFACE` unless given) and `patience` (seconds that the worker has after TERM or INT).

    Raises:
      OSError: it cannot be started.
    """

    def __init__(self, job: dict):
        env = {**os.environ, **job['env']}
        if 'HOROVOD_GLOO_IFACE' not in env:
            env['HOROVOD_GLOO_IFACE'] = interface_towards(job['server'])
        self._patience = job['patience']
        self._stopping = False
        # A session of its own: Ctrl-C at a terminal reaches it through the launcher only, once.
        self._process = subprocess.Popen(
            job['command'], cwd=job['cwd'], env=env, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def send(self, name: str) -> None:
        """KILL goes to the worker and its children, TERM or INT to the worker, which gets only the first of them."""
        if name == 'KILL':
            self._kill()
        elif not self._stopping:
            self._stopping = True
            self._process.send_signal(SIGNALS[name])
            timer = threading.Timer(self._patience, self._kill)
            timer.daemon = True
            timer.start()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Exit code of the worker, as a shell tells it."""
        status = self._process.wait()
        self._kill()  # what it may have left behind
        return status if status >= 0 else 128 - status


def forward_signals(worker: Worker) -> None:
    """Passes the launcher's wishes on until it is gone."""
    for line in sys.stdin:
        worker.send(line.strip())
    worker.send('TERM')


def main() -> int:
    # A scheduler may tell everyone, agents included, at any time.
    asked = []
    for signum, name in ((signal.SIGTERM, 'TERM'), (signal.SIGINT, 'INT')):
        signal.signal(signum, lambda *_, name=name: asked.append(name))
    job = json.loads(sys.stdin.readline() or 'null')
    if job is None:  # the launcher is gone already
        return CANNOT_START
    try:
        worker = Worker(job)
    except OSError as error:
        print(f'{socket.gethostname()}: cannot start {job["command"][0]}: {error}', file=sys.stderr)
        return CANNOT_START
    for signum, name in ((signal.SIGTERM, 'TERM'), (signal.SIGINT, 'INT')):
        signal.signal(signum, lambda *_, name=name: worker.send(name))
    for name in asked:
        worker.send(name)
    threading.Thread(target=forward_signals, args=(worker,), daemon=True).start()
    return worker.wait()


if __name__ == '__main__':
    status = main()
    sys.stdout.flush()
    os._exit(status)  # the thread may still be reading, which would hold up an ordinary exit
