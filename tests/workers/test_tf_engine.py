"""Two workers over TensorFlow's own collectives, started by `TF_CONFIG` alone: neither Horovod nor the launcher."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pocketflow.utils.distributed.tf_cluster import free_address
from tests.workers.launching import ROOT
from tests.workers.results import both, check_exchanges

PROGRAM = Path(__file__).with_name('engine_program.py')


@pytest.fixture(scope='module')
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, dict, list[int], str]:
    """What each worker has found, the exit codes of both, and the last line of worker 0."""
    folder = tmp_path_factory.mktemp('engine')
    addresses = [free_address('http://127.0.0.1:1'), free_address('http://127.0.0.1:1')]
    started = []
    for rank in range(2):
        config = {'cluster': {'worker': addresses}, 'task': {'type': 'worker', 'index': rank}}
        path = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')]).rstrip(os.pathsep)
        env = {**os.environ, 'PYTHONPATH': path, 'TF_CONFIG': json.dumps(config)}
        with (folder / f'output{rank}').open('w') as output:
            started.append(subprocess.Popen([sys.executable, PROGRAM, folder], env=env, stdout=output, stderr=output))
    try:
        codes = [process.wait(timeout=120) for process in started]
    finally:
        for process in started:
            process.kill()
    output = (folder / 'output0').read_text()
    assert (folder / '0.npz').exists(), output
    primary, other = (dict(np.load(folder / f'{rank}.npz')) for rank in range(2))
    return primary, other, codes, output


def test_tensors_arrive_without_horovod(results):
    assert not results[0]['horovod'] and not results[1]['horovod']
    check_exchanges(results)
    assert np.signbit(both(results, 'bits')[[0, 2]]).all()


def test_two_workers_train_as_one_with_their_batches(results):
    np.testing.assert_allclose(both(results, 'sgd'), results[0]['sgd_alone'], atol=1e-5)


@pytest.mark.parametrize('kind', ['none', 'fp16', 'chunked', 'powersgd'])
def test_all_end_with_the_same_weights(results, kind: str):
    assert np.isfinite(both(results, f'weights_{kind}')).all()


def test_a_continued_training_ends_as_a_whole_one(results):
    np.testing.assert_array_equal(both(results, 'whole'), both(results, 'resumed'))


def test_a_lost_worker_ends_the_other_with_its_code(results):
    assert results[2] == [75, 9], results[3]
    assert 'another worker has ended' in results[3].splitlines()[-1]
