"""Starts and supervises one worker on this host; `launch.py` starts one agent per worker, over ssh on other hosts.

The command and its environment are read as one line of JSON from the standard input, so that they need no quoting and
are not visible in the process list. The following lines, TERM, INT or KILL, are signals for the worker. The end of the
input means that the launcher has ended: the worker is then sent SIGTERM. The agent exits with the exit code of the
worker, or 128 + N if signal N killed it.

It imports none of the project's packages, so that it starts quickly.
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
    """Address of this host on the interface through which it reaches the server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((server, 9))  # sends nothing
        return probe.getsockname()[0]


def interface_towards(server: str) -> str:
    """Name of the network interface through which this host reaches the server; the names may differ between hosts."""
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
        # In its own session: Ctrl-C at a terminal is forwarded by the launcher, once.
        self._process = subprocess.Popen(
            job['command'], cwd=job['cwd'], env=env, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def send(self, name: str) -> None:
        """Sends KILL to the worker and its children, or the first TERM or INT to the worker; later ones are ignored."""
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
        """Waits for the worker; returns its exit code as a shell would, 128 + N for signal N."""
        status = self._process.wait()
        self._kill()  # its remaining children
        return status if status >= 0 else 128 - status


def forward_signals(worker: Worker) -> None:
    """Forwards signals from the launcher to the worker until the launcher has ended."""
    for line in sys.stdin:
        worker.send(line.strip())
    worker.send('TERM')


def main() -> int:
    # A scheduler may send signals to all processes, including agents, at any time.
    asked = []
    for signum, name in ((signal.SIGTERM, 'TERM'), (signal.SIGINT, 'INT')):
        signal.signal(signum, lambda *_, name=name: asked.append(name))
    job = json.loads(sys.stdin.readline() or 'null')
    if job is None:  # the launcher has ended
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
    os._exit(status)  # the thread may still be reading, which would block an ordinary exit
