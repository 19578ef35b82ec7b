"""Starts workers with the environment of cluster launchers, without this project's launcher, and looks what they do.

    .venv/bin/python scripts/conformance/clusters.py

TonY's Horovod runtime: its driver serves Horovod's rendezvous, and each task executor sets the variables below and runs
the command of the job; its TensorFlow runtime sets TF_CONFIG, for --engine=tf. Two workers train LeNet at digits; then
one is killed in the middle, and the job is started again, as TonY does. Processes of srun and mpirun, and those with
TF_CONFIG and Horovod, know nothing of each other: these must refuse to train.

HOROVOD_, JOB_NAME, TASK_INDEX and TASK_NUM as in TonY's HorovodRuntime.java, TF_CONFIG as TensorFlow documents it, the
others as in the manuals of srun and mpirun.
Exit code 1 if anything differs from what is expected.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pocketflow.utils.system.ports import LOOPBACK, free_ports

ROOT = Path(__file__).resolve().parents[2]
NUM_WORKERS = 2
TASK = (
    '--model=lenet',
    '--dataset=digits',
    '--learner=full-prec',
    '--enbl_multi_gpu',
    '--deterministic',
    '--nb_epochs_rat=0.1',
    '--summ_step=20',
    '--save_step=20',
    '--export_formats=pfz',
)
KILLED_AT = 60
"""Step at which one worker is killed."""
LOST, KILLED = 75, -signal.SIGKILL
WAIT_S = 240.0
Environment = dict[str, str]


def of_tony(rank: int) -> Environment:
    """What TonY's task executors set whatever the framework."""
    return {
        'JOB_NAME': 'worker',
        'TASK_INDEX': str(rank),
        'TASK_NUM': str(NUM_WORKERS),
        'IS_CHIEF': str(rank == 0).lower(),
        'SESSION_ID': '0',
        'DISTRIBUTED_MODE_NAME': 'GANG',
    }


def of_tony_horovod(rank: int, port: int, slot: Mapping[str, str]) -> Environment:
    """What TonY's Horovod runtime adds; `slot` is what the rendezvous assigned to the worker."""
    return {
        **of_tony(rank),
        'HOROVOD_CONTROLLER': 'gloo',
        'HOROVOD_CPU_OPERATIONS': 'gloo',
        'HOROVOD_GLOO_TIMEOUT_SECONDS': '2000',
        'HOROVOD_GLOO_RENDEZVOUS_ADDR': LOOPBACK,
        'HOROVOD_GLOO_RENDEZVOUS_PORT': str(port),
        **slot,
    }


def of_tony_tensorflow(rank: int, ports: Sequence[int]) -> Environment:
    """What TonY's TensorFlow runtime adds."""
    cluster = {'worker': [f'{LOOPBACK}:{port}' for port in ports]}
    config = {'cluster': cluster, 'task': {'type': 'worker', 'index': rank}, 'environment': 'cloud'}
    return {**of_tony(rank), 'TF_CONFIG': json.dumps(config), 'CLUSTER_SPEC': json.dumps(cluster)}


def of_srun(rank: int) -> Environment:
    return {
        'SLURM_JOB_ID': '1',
        'SLURM_NTASKS': str(NUM_WORKERS),
        'SLURM_STEP_NUM_TASKS': str(NUM_WORKERS),
        'SLURM_PROCID': str(rank),
        'SLURM_LOCALID': str(rank),
        'SLURM_STEP_NODELIST': 'localhost',
    }


def of_mpirun(rank: int) -> Environment:
    return {
        'OMPI_COMM_WORLD_SIZE': str(NUM_WORKERS),
        'OMPI_COMM_WORLD_RANK': str(rank),
        'OMPI_COMM_WORLD_LOCAL_SIZE': str(NUM_WORKERS),
        'OMPI_COMM_WORLD_LOCAL_RANK': str(rank),
        'PMIX_RANK': str(rank),
    }


def start(run: Path, environments: Sequence[Environment], engine: str = 'horovod') -> list[subprocess.Popen[bytes]]:
    """The workers of a job; each writes to a file beside the run directory."""
    run.parent.mkdir(exist_ok=True, parents=True)
    places = f'--run_dir={run}', f'--zoo_dir={run.parent}'
    plain = {name: value for name, value in os.environ.items() if not name.startswith(('HOROVOD_', 'SLURM_', 'OMPI_'))}
    return [
        subprocess.Popen(
            [sys.executable, str(ROOT / 'main.py'), *TASK, *places, f'--engine={engine}'],
            env={**plain, 'TF_NUM_INTRAOP_THREADS': '1', 'OMP_NUM_THREADS': '1', **environment},
            stdout=subprocess.DEVNULL,
            stderr=(run.parent / f'{run.name}-{rank}.log').open('ab'),
        )
        for rank, environment in enumerate(environments)
    ]


def ended(workers: Sequence[subprocess.Popen[bytes]]) -> list[int]:
    """Exit codes, by rank; what does not end in time is killed."""
    deadline = time.monotonic() + WAIT_S
    for worker in workers:
        try:
            worker.wait(max(1.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            worker.kill()
    return [worker.wait() for worker in workers]


def tony_job(run: Path, engine: str, kill: bool = False) -> list[int]:
    """Exit codes of the workers of a job of TonY, of which worker 1 may be killed."""
    with environments_of_tony(engine) as environments:
        workers = start(run, environments, engine)
        if kill:
            wait_for_step(run, KILLED_AT)
            workers[1].kill()
        return ended(workers)


@contextlib.contextmanager
def environments_of_tony(engine: str) -> Iterator[list[Environment]]:
    """The environments of the runtime for an engine; that for Horovod serves the rendezvous in the meantime."""
    if engine == 'tf':
        ports = free_ports(NUM_WORKERS)
        yield [of_tony_tensorflow(rank, ports) for rank in range(NUM_WORKERS)]
        return
    # This file only starts workers; their communication is in utils/distributed/multi_gpu_wrapper.py.
    from horovod.runner import gloo_run as gloo  # noqa: TID251
    from horovod.runner.common.util import hosts  # noqa: TID251
    from horovod.runner.http import http_server as http  # noqa: TID251

    server = http.RendezvousServer()
    port = server.start()
    try:
        slots = hosts.get_host_assignments([hosts.HostInfo(LOOPBACK, NUM_WORKERS)], NUM_WORKERS)
        server.init(slots)
        yield [of_tony_horovod(slot.rank, port, gloo.create_slot_env_vars(slot)) for slot in slots]
    finally:
        server.stop()


def wait_for_step(run: Path, step: int) -> None:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        text = (run / 'metrics.jsonl').read_text() if (run / 'metrics.jsonl').is_file() else ''
        whole = text.splitlines()[: text.count('\n')]  # the last line may be in the writing
        if any(json.loads(line).get('step', 0) >= step for line in whole):
            return
        time.sleep(0.05)


def weights_of(run: Path) -> bytes:
    return (run / 'model.pfz').read_bytes()


def last_line(run: Path, rank: int) -> str:
    lines = (run.parent / f'{run.name}-{rank}.log').read_text().splitlines()
    return next((line for line in reversed(lines) if line.startswith('error: ')), '')


def tony_rows(folder: Path, engine: str) -> list[tuple[str, str, bool]]:
    """(environment, result, as expected) of the jobs of one of TonY's runtimes."""
    name, whole, lost = f'TonY, --engine={engine}', folder / engine / 'whole', folder / engine / 'lost'
    codes = tony_job(whole, engine)
    rows = [(name, f'trains; exit codes {codes}', codes == [0] * NUM_WORKERS)]
    killed = tony_job(lost, engine, kill=True)
    expected = 'another worker has ended' in last_line(lost, 0)
    rows.append((f'{name}, worker 1 killed', f'exit codes {killed}', killed == [LOST, KILLED] and expected))
    again = tony_job(lost, engine)
    resumed = 'continuing from step' in (lost / 'log.txt').read_text()
    equal = again == [0] * NUM_WORKERS and weights_of(lost) == weights_of(whole)
    result = f'exit codes {again}; resumed: {resumed}; network equal to the uninterrupted one: {equal}'
    return [*rows, (f'{name}, started again', result, equal and resumed)]


def refusal(name: str, folder: Path, environment: Environment) -> tuple[str, str, bool]:
    run = folder / re.sub(r'\W+', '_', name)
    (code,) = ended(start(run, [environment]))
    return name, f'exit code {code}: {last_line(run, 0)}', code == 2 and not run.exists()


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [row for engine in ('horovod', 'tf') for row in tony_rows(folder, engine)]
        rows.append(
            refusal('TonY, tensorflow, --engine=horovod', folder, of_tony_tensorflow(1, free_ports(NUM_WORKERS)))
        )
        rows.append(refusal('srun', folder, of_srun(1)))
        rows.append(refusal('mpirun and MPIJob, Horovod without MPI', folder, of_mpirun(1)))
    for environment, result, is_expected in rows:
        print(f'{"ok   " if is_expected else "WRONG"}  {environment}: {result}')
    return 0 if all(is_expected for *_, is_expected in rows) else 1


if __name__ == '__main__':
    sys.exit(main())
