"""Starts a command once per worker; `scripts/run_horovod.sh` calls it.

    python scripts/workers/launch.py -n=4 [-H=host1:2,host2:2] [--srun] [--mpi] [--verbose_workers] -- COMMAND...

Horovod assigns the ranks and serves the rendezvous. The processes are started and ended here, because horovodrun allows
them only five seconds to end, does not signal them reliably, and hides their exit codes.
"""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from pocketflow.scripts.workers import mpi
from pocketflow.scripts.workers.hosts import Host, check_reachable, choose_hosts
from pocketflow.scripts.workers.job import (
    AGENT,
    Job,
    Stop,
    Timeouts,
    Worker,
    agent_command,
    print_error,
    worker_environment,
)
from pocketflow.scripts.workers.rendezvous import rendezvous
from pocketflow.utils.errors import PocketFlowError, UsageError


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Starts a command once per worker.', allow_abbrev=False)
    parser.add_argument('-n', dest='num_workers', type=int, required=True)
    parser.add_argument('-H', dest='hosts')
    parser.add_argument('--srun', action='store_true')
    parser.add_argument('--mpi', action='store_true')
    parser.add_argument('--verbose_workers', action='store_true')
    parser.add_argument('--checkpoint_time', type=float, default=Timeouts.checkpoint)
    parser.add_argument('command', nargs='+')
    return parser.parse_args(argv)


def run_gloo(options: argparse.Namespace, hosts: Sequence[Host], stop: Stop) -> int:
    """Runs the job; returns its exit code."""
    ended: queue.Queue[int] = queue.Queue()
    places = [host for host in hosts for _ in range(host.slots)]
    with rendezvous(hosts) as (environments, address):
        workers = []
        for rank, (host, env) in enumerate(zip(places, environments, strict=True)):
            forward = not (options.srun or host.is_local)
            task = {
                'command': options.command,
                'cwd': os.getcwd(),
                'env': worker_environment(env, forward),
                'server': address,
                'patience': options.checkpoint_time,
            }
            workers.append(Worker(rank, host, agent_command(host, options.srun), task, ended, options.verbose_workers))
        return Job(workers, ended, stop, Timeouts(checkpoint=options.checkpoint_time)).run()


def launch(options: argparse.Namespace, stop: Stop) -> int:
    """Runs the job and returns its exit code, or replaces this process by mpirun.

    Raises:
      UsageError: unsuitable hosts, or a missing program.
    """
    if options.mpi:
        mpi.become_mpirun(options.num_workers, options.hosts, options.command)
    hosts = choose_hosts(options.hosts, options.num_workers)
    if not options.srun:
        check_reachable(hosts, (Path(sys.executable), AGENT))
    elif not shutil.which('srun'):
        raise UsageError('--srun: there is no srun here; it is for jobs of Slurm, see scripts/run_slurm.sh')
    return run_gloo(options, hosts, stop)


def main(argv: Sequence[str]) -> int:
    stop = Stop()
    options = parse(argv)
    try:
        return launch(options, stop)
    except PocketFlowError as error:
        print_error(str(error))
        return error.exit_code


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
