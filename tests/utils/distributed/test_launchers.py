"""Processes that a launcher has started, and that are no workers of one training."""

from __future__ import annotations

import doctest
import json

import pytest

from pocketflow.utils.distributed import launchers
from pocketflow.utils.distributed.launchers import num_tasks, refuse_other_launchers
from pocketflow.utils.errors import UsageError


def config(**cluster: list[str]) -> str:
    return json.dumps({'cluster': cluster, 'task': {'type': 'worker', 'index': 0}})


@pytest.mark.parametrize(
    ('environment', 'message'),
    [
        (
            {'SLURM_STEP_NUM_TASKS': '4', 'SLURM_PROCID': '1'},
            r'srun has started 4 processes \(SLURM_STEP_NUM_TASKS\).*run_slurm',
        ),
        ({'OMPI_COMM_WORLD_SIZE': '2'}, 'mpirun has started 2 processes'),
        ({'PMI_SIZE': '2'}, 'mpiexec has started 2 processes'),
        ({'TF_CONFIG': config(worker=['a:1', 'b:1'])}, 'TF_CONFIG names 2 tasks.*--engine=tf.*framework=horovod'),
        ({'TF_CONFIG': config(worker=['a:1'], ps=['b:1'])}, 'TF_CONFIG names 2 tasks'),
    ],
)
def test_one_line_says_what_to_do(environment, message):
    with pytest.raises(UsageError, match=message) as caught:
        refuse_other_launchers(environment)
    assert '\n' not in str(caught.value) and caught.value.exit_code == 2


@pytest.mark.parametrize(
    'environment',
    [
        {},
        {'SLURM_NTASKS': '4'},  # within a batch job, but not started by srun
        {'SLURM_STEP_NUM_TASKS': '1', 'OMPI_COMM_WORLD_SIZE': '1'},
        {'OMPI_COMM_WORLD_SIZE': 'many'},
        {'TF_CONFIG': config(worker=['a:1'])},
    ],
)
def test_a_process_that_is_alone_is_one_worker(environment):
    refuse_other_launchers(environment)


@pytest.mark.parametrize('text', ['', '{', '[]', '{}', '{"cluster": 3}', '{"cluster": {"worker": null}}'])
def test_what_is_no_cluster_has_no_tasks(text):
    assert num_tasks(text) == 0


def test_examples():
    assert doctest.testmod(launchers) == (0, 1)
