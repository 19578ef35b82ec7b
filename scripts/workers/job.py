"""A job of several workers: one exit code, common signals, and the output of worker 0."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import os
import queue
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pocketflow.scripts.workers.agent import CANNOT_START
from pocketflow.scripts.workers.hosts import SSH, SSH_FAILED, Host
from pocketflow.utils.errors import LostWorkerError, PocketFlowError

AGENT = Path(__file__).with_name('agent.py')
KEPT_LINES = 20
POLL_S = 0.2
KILLED = 128 + signal.SIGKILL
CRASHED = PocketFlowError.exit_code
LOST_WORKER = LostWorkerError.exit_code
STOPPED = (128 + signal.SIGTERM, 128 + signal.SIGINT)

# Environment variables that are passed to workers on other hosts.
FORWARDED = (
    'CLASSPATH',
    'CUDA_',
    'HADOOP_',
    'HOROVOD_',
    'JAVA_HOME',
    'KMP_',
    'LD_LIBRARY_PATH',
    'NCCL_',
    'OMP_',
    'POCKETFLOW_',
    'PYTHON',
    'TF_',
    'XLA_',
)
PER_TASK = ('SLURM_CPUS_PER_TASK', 'SLURM_TRES_PER_TASK', 'SLURM_NTASKS_PER_NODE', 'SLURM_MEM_PER_CPU')


@dataclasses.dataclass(frozen=True)
class Timeouts:
    """Timeouts in seconds.

    Attributes:
      checkpoint: for the workers to end after SIGTERM or SIGINT.
      peers: after the failure of a worker, for the others to notice it and to print their errors.
      failure: for them to end after that, once they were sent SIGTERM.
    """

    checkpoint: float = 120
    peers: float = 5
    failure: float = 30


def worker_environment(rank_env: Mapping[str, str], forward: bool) -> dict[str, str]:
    """Variables that are added to the environment of the worker's host."""
    env = {name: value for name, value in os.environ.items() if forward and name.startswith(FORWARDED)}
    env.setdefault('TF_CPP_MIN_LOG_LEVEL', os.environ.get('TF_CPP_MIN_LOG_LEVEL', '2'))
    return {**env, 'PYTHONUNBUFFERED': '1', **rank_env}


def agent_command(host: Host, srun: bool) -> list[str]:
    """The command that starts an agent on a host: locally, through ssh, or as a step of this Slurm job."""
    agent = [sys.executable, '-S', '-E', str(AGENT)]
    if srun:
        # The workers of a host divide all its cores and GPUs among themselves, so the job's settings per task are
        # overridden.
        unset = [word for name in PER_TASK for word in ('-u', name)]
        return [
            'env',
            *unset,
            'srun',
            '--overlap',
            '--nodes=1',
            '--ntasks=1',
            f'--nodelist={host.name}',
            '--mem=0',
            '--cpu-bind=none',
            f'--cpus-per-task={os.environ.get("SLURM_CPUS_ON_NODE", "1")}',
            *agent,
        ]
    return agent if host.is_local else [*SSH, host.name, f'exec {shlex.join(agent)}']


class Worker:
    """One worker, controlled through its agent.

    Args:
      rank: number of the worker.
      host: where it runs.
      command: starts its agent.
      task: the message to the agent, see `agent.Worker`.
      ended: receives the rank when the worker has ended.
      verbose: whether to show its output, with the rank before each line; that of worker 0 is always shown unchanged.
    """

    def __init__(
        self, rank: int, host: Host, command: Sequence[str], task: Mapping, ended: queue.Queue[int], verbose: bool
    ):
        self.rank, self.host = rank, host
        self.status: int | None = None
        self._verbose = verbose
        self._last_lines: collections.deque[str] = collections.deque(maxlen=KEPT_LINES)
        streams = {} if rank == 0 else {'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            start_new_session=True,
            text=True,
            encoding='utf-8',
            errors='replace',
            **streams,
        )
        self.send(json.dumps(task))
        threading.Thread(target=self._watch, args=(ended,), daemon=True).start()

    def send(self, line: str) -> None:
        """Sends a line to the agent, if it is running."""
        with contextlib.suppress(OSError):
            self._process.stdin.write(line + '\n')
            self._process.stdin.flush()

    def end_agent(self) -> None:
        """Ends the agent, or the connection to it."""
        self._process.kill()

    def show_last_lines(self) -> None:
        """Shows the last lines of output that were not shown."""
        for line in self._last_lines:
            self._show(line)

    def _show(self, line: str) -> None:
        print(f'[{self.rank}] {line}', end='', file=sys.stderr, flush=True)

    def _watch(self, ended: queue.Queue[int]) -> None:
        for line in self._process.stdout or ():
            (self._show if self._verbose else self._last_lines.append)(line.removesuffix('\n') + '\n')
        status = self._process.wait()
        self.status = status if status >= 0 else 128 - status
        ended.put(self.rank)


class Stop:
    """Records SIGTERM and SIGINT of this process."""

    def __init__(self):
        self.signum: int | None = None
        self.num_interrupts = 0
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._note)

    def _note(self, signum: int, frame) -> None:
        self.signum = self.signum or signum
        self.num_interrupts += signum == signal.SIGINT

    @property
    def at_once(self) -> bool:
        """Whether SIGINT was received twice."""
        return self.num_interrupts > 1


class Job:
    """Supervises the workers of a job until the last has ended.

    Args:
      workers: the workers by rank.
      ended: receives the ranks of workers that end.
      stop: the signals of this process.
      timeouts: the timeouts.
    """

    def __init__(self, workers: Sequence[Worker], ended: queue.Queue[int], stop: Stop, timeouts: Timeouts):
        self._workers = workers
        self._ended = ended
        self._stop = stop
        self._timeouts = timeouts
        self._deadlines: collections.deque[tuple[float, str]] = collections.deque()
        self._num_ended = 0
        self._failed: list[Worker] = []
        self._signalled = False

    def run(self) -> int:
        """Waits for all workers; returns the exit code of the job."""
        while self._num_ended < len(self._workers):
            with contextlib.suppress(queue.Empty):
                self._on_end(self._ended.get(timeout=POLL_S))
            self._on_signal()
            self._on_time()
        return self._exit_code()

    def _on_end(self, rank: int) -> None:
        self._num_ended += 1
        worker = self._workers[rank]
        asked = self._signalled and worker.status in (*STOPPED, KILLED)
        if not worker.status or asked or self._stop.signum is not None:
            return
        self._failed.append(worker)
        if len(self._failed) == 1 and not self._signalled:
            # The workers may have been stopped by a signal from outside this job.
            time_left = self._timeouts.checkpoint if worker.status in STOPPED else self._timeouts.failure
            self._schedule((self._timeouts.peers, 'TERM'), (time_left, 'KILL'), (5, 'DISCONNECT'))

    def _schedule(self, *steps: tuple[float, str]) -> None:
        """Schedules messages to the remaining workers, each some seconds after the message before."""
        self._deadlines.clear()
        when = time.monotonic()
        for seconds, what in steps:
            when += seconds
            self._deadlines.append((when, what))

    def _on_signal(self) -> None:
        if self._stop.at_once:
            self._send_all('KILL')
        elif self._stop.signum is not None and not self._signalled:
            self._send_all('INT' if self._stop.signum == signal.SIGINT else 'TERM')
            self._schedule((self._timeouts.checkpoint, 'KILL'), (5, 'DISCONNECT'))

    def _on_time(self) -> None:
        while self._deadlines and time.monotonic() > self._deadlines[0][0]:
            self._send_all(self._deadlines.popleft()[1])

    def _send_all(self, what: str) -> None:
        self._signalled = True
        for worker in self._workers:
            if worker.status is None and what == 'DISCONNECT':
                worker.end_agent()
            elif worker.status is None:
                worker.send(what)

    def _exit_code(self) -> int:
        if self._failed:
            # Workers that only report the loss of another one are not the cause.
            return self._exit_code_of_failure(min(self._failed, key=lambda worker: worker.status == LOST_WORKER))
        if self._stop.signum is not None and any(worker.status for worker in self._workers):
            return self._exit_code_of_stop(128 + self._stop.signum)
        return 0

    def _exit_code_of_failure(self, failed: Worker) -> int:
        # A crash of worker 0 may be a consequence or another failure; other errors it has already printed.
        if failed.status == CRASHED or failed.status != self._workers[0].status:
            failed.show_last_lines()
        print_error(f'{describe(failed)}; the job is over')
        return 1 if failed.status in (SSH_FAILED, LOST_WORKER) else failed.status

    def _exit_code_of_stop(self, expected: int) -> int:
        """Exit code after a stop: that of worker 0, because the others lose their connections while the job stops."""
        killed = [worker.rank for worker in self._workers if worker.status == KILLED]
        if killed:
            print_error(
                f'worker(s) {", ".join(map(str, killed))} did not end in time and had to be killed; the same '
                'command continues from the last checkpoint'
            )
        primary = self._workers[0]
        if primary.status in (0, expected, KILLED, LOST_WORKER):
            return expected
        print_error(describe(primary))
        return primary.status


def describe(worker: Worker) -> str:
    """One line on the end of a worker."""
    name = f'worker {worker.rank}' + ('' if worker.host.name == 'localhost' else f' on {worker.host.name}')
    if worker.status == SSH_FAILED:
        return f'{name}: the connection to {worker.host.name} failed'
    if worker.status == CANNOT_START:
        return f'{name} could not be started (exit code {CANNOT_START})'
    if worker.status > 128:
        number = worker.status - 128
        known = {each.value: each.name for each in signal.Signals}
        return f'{name} was ended by {known.get(number, f"signal {number}")} (exit code {worker.status})'
    return f'{name} ended with exit code {worker.status}'


def print_error(message: str) -> None:
    print(f'run_horovod.sh: {message}', file=sys.stderr, flush=True)
