"""Starts the workers with Open MPI's mpirun."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from typing import NoReturn

from pocketflow.scripts.workers.hosts import choose_hosts
from pocketflow.scripts.workers.job import FORWARDED, Timeouts
from pocketflow.utils.errors import UsageError


def mpirun_command(num_workers: int, hosts: str | None, command: Sequence[str], environ: Sequence[str]) -> list[str]:
    """The command line of mpirun.

    Args:
      num_workers: number of workers.
      hosts: `host1:4,host2:4`; None for Open MPI's default: this machine, the host file of an MPIJob, or the hosts of a
        Slurm job.
      command: command that starts one worker.
      environ: names of the defined environment variables, of which the relevant ones are passed on.
    """
    passed = [name for name in sorted(environ) if name.startswith(FORWARDED)]
    return [
        'mpirun',
        '--allow-run-as-root',
        '--oversubscribe',
        '-np',
        str(num_workers),
        *(['-H', hosts] if hosts else []),
        '--bind-to',
        'none',
        '--map-by',
        'slot',
        '--mca',
        'pml',
        'ob1',
        '--mca',
        'btl',
        '^openib',  # as Horovod's own launcher
        '--mca',
        'odls_base_sigkill_timeout',
        str(int(Timeouts.checkpoint)),  # by default one second
        *(word for name in passed for word in ('-x', name)),
        *command,
    ]


def become_mpirun(num_workers: int, hosts: str | None, command: Sequence[str]) -> NoReturn:
    """Replaces this process by mpirun.

    Raises:
      UsageError: there is no Open MPI, or there are more workers than slots.
    """
    check_open_mpi()
    if hosts:
        choose_hosts(hosts, num_workers)
    os.environ.update(PYTHONUNBUFFERED='1')
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, signal.SIG_DFL)
    words = mpirun_command(num_workers, hosts, command, list(os.environ))
    os.execvp(words[0], words)


def check_open_mpi() -> None:
    install = 'install Open MPI, run scripts/install_horovod.sh again, or leave --mpi out: Gloo needs no MPI'
    if not shutil.which('mpirun'):
        raise UsageError(f'--mpi: there is no mpirun; {install}')
    version = subprocess.run(['mpirun', '--version'], capture_output=True, text=True, check=False).stdout
    if 'Open MPI' not in version:
        kind = (version.splitlines() or ['of an unknown kind'])[0]
        raise UsageError(f'--mpi: mpirun is {kind}, not Open MPI; {install}')
