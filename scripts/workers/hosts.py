"""The hosts of the workers: `-H=host1:4,host2:4`, or this machine."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pocketflow.scripts.workers.agent import address_towards
from pocketflow.utils.errors import UsageError

SSH = ('ssh', '-o', 'BatchMode=yes', '-o', 'ConnectTimeout=10', '-o', 'ServerAliveInterval=15')
SSH_FAILED = 255
REACH_TIMEOUT_S = 30


@dataclasses.dataclass(frozen=True)
class Host:
    """A machine and its number of slots for workers."""

    name: str
    slots: int

    @property
    def is_local(self) -> bool:
        """Whether this is the machine of the launcher.

        Raises:
          UsageError: the name cannot be resolved.
        """
        try:
            address = socket.gethostbyname(self.name)
            return address.startswith('127.') or address_towards(address) == address
        except OSError as error:
            raise UsageError(
                f'-H: {self.name}: no host is known by this name ({error}); check the spelling, or give its address'
            ) from error


def parse_hosts(text: str) -> list[Host]:
    """Parses `host1:4,host2:4`.

    Raises:
      UsageError: invalid syntax, or a duplicate host.
    """
    words = text.split(',')
    for word in words:
        if not re.fullmatch(r'[A-Za-z0-9_][\w.-]*:[1-9][0-9]*', word):
            raise UsageError(
                f"-H={text}: '{word}' is not HOST:SLOTS; give the hosts as -H=host1:4,host2:4, each with "
                'the number of workers that it may run'
            )
    hosts = [Host(name, int(slots)) for name, slots in (word.split(':') for word in words)]
    names = [host.name for host in hosts]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f'-H={text}: {name} is named twice; give it once with the sum of its slots')
    return hosts


def num_gpus(environ: dict[str, str]) -> int:
    """Number of usable NVIDIA GPUs of this machine; 0 without a driver."""
    if not shutil.which('nvidia-smi', path=environ.get('PATH')):
        return 0
    listed = subprocess.run(['nvidia-smi', '-L'], env=environ, capture_output=True, text=True, check=False)
    found = len(re.findall(r'^GPU \d+', listed.stdout, re.MULTILINE))
    visible = environ.get('CUDA_VISIBLE_DEVICES')
    if visible is None:
        return found
    return min(found, len([name for name in visible.split(',') if name.strip() not in ('', '-1')]))


def local_host(num_workers: int) -> Host:
    """This machine with `num_workers` slots: at most one per GPU, any number without GPUs.

    Raises:
      UsageError: more workers than GPUs.
    """
    gpus = num_gpus(dict(os.environ))
    if 0 < gpus < num_workers:
        raise UsageError(
            f'-n={num_workers}: this machine has {gpus} GPU(s), and each worker needs one; give -n={gpus} '
            'or less, or more machines by -H=host1:4,host2:4 (CUDA_VISIBLE_DEVICES= trains on the cores)'
        )
    return Host('localhost', num_workers)


def choose_hosts(given: str | None, num_workers: int) -> list[Host]:
    """The hosts to use, in order; all but the last are filled.

    Raises:
      UsageError: there are more workers than slots.
    """
    if given is None:
        return [local_host(num_workers)]
    hosts = parse_hosts(given)
    slots = sum(host.slots for host in hosts)
    if slots < num_workers:
        raise UsageError(f'-n={num_workers}: -H={given} has {slots} slots; give -n={slots} or less, or more slots')
    used, left = [], num_workers
    for host in hosts:
        if left:
            used.append(Host(host.name, min(host.slots, left)))
            left -= used[-1].slots
    return used


def check_reachable(hosts: Sequence[Host], files: Sequence[Path]) -> None:
    """Checks over ssh, on all other hosts concurrently, that these files exist.

    Raises:
      UsageError: for the first host that does not answer or lacks a file.
    """
    remote = [host.name for host in hosts if not host.is_local]
    if remote and not shutil.which('ssh'):
        raise UsageError(f'-H: {remote[0]} needs ssh, which is not installed here (apt-get install openssh-client)')
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for reason in pool.map(lambda name: _reason_against(name, files), remote):
            if reason:
                raise UsageError(reason)


def _reason_against(host: str, files: Sequence[Path]) -> str | None:
    check = ' && '.join(
        f'test -e {quoted} || {{ echo {quoted}; exit 1; }}' for quoted in (shlex.quote(str(file)) for file in files)
    )
    try:
        answer = subprocess.run(
            [*SSH, host, check],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=REACH_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return f'-H: {host} does not answer over ssh within {REACH_TIMEOUT_S} s'
    if answer.returncode == SSH_FAILED:
        last = (answer.stderr.strip().splitlines() or ['no reason given'])[-1]
        return f'-H: {host} cannot be reached over ssh without a password: {last}'
    if answer.returncode:
        missing = (answer.stdout.strip() or answer.stderr.strip() or str(files[0])).splitlines()[-1]
        return f'-H: {host} has no {missing}; the repository and its .venv must be at the same place on all hosts'
    return None
