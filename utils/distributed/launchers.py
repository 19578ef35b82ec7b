"""Job launchers that start several processes without making them workers of one training."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pocketflow.utils.errors import UsageError

SIZES = {
    'SLURM_STEP_NUM_TASKS': ('srun', 'submit scripts/run_slurm.sh, which has srun start the workers'),
    'OMPI_COMM_WORLD_SIZE': ('mpirun', 'start scripts/run_horovod.sh, or install Horovod where mpirun is found'),
    'PMI_SIZE': ('mpiexec', 'start scripts/run_horovod.sh, or install Horovod where mpiexec is found'),
}
"""Variable with the number of processes -> the launcher that sets it, and what to do instead."""
TF_CONFIG = 'TF_CONFIG'


def refuse_other_launchers(environment: Mapping[str, str]) -> None:
    """Refuses to train as one worker of many that do not know each other.

    To be called if Horovod has found one worker only: each process would then train the whole network, and write the
    same run directory.

    Args:
      environment: of this process.

    Raises:
      UsageError: a launcher has started several processes.
    """
    for name, (launcher, remedy) in SIZES.items():
        if (size := environment.get(name, '')).isdecimal() and int(size) > 1:
            raise UsageError(
                f'--enbl_multi_gpu: {launcher} has started {size} processes ({name}), but Horovod knows of no other '
                f'worker; {remedy}'
            )
    if (tasks := num_tasks(environment.get(TF_CONFIG, ''))) > 1:
        raise UsageError(
            f'--enbl_multi_gpu: {TF_CONFIG} names {tasks} tasks, but Horovod, which does not read it, knows of no '
            'other worker; give --engine=tf, or choose the Horovod runtime of the cluster (for TonY: '
            'tony.application.framework=horovod)'
        )


def num_tasks(config: str) -> int:
    """Number of tasks of a cluster that `TF_CONFIG` describes, of any kind; 0 if it describes none.

    Tasks that do not train, such as parameter servers, would run the same command.

    >>> num_tasks('{"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"], "ps": ["d:1"]}, "task": {}}')
    4
    """
    try:
        cluster = json.loads(config)['cluster']
        return sum(map(len, cluster.values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        return 0
