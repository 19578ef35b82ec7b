"""One worker, and what happens where Horovod is missing or does not fit."""

from __future__ import annotations

import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.utils.distributed.multi_gpu_wrapper import (
    ALONE,
    HorovodWorkers,
    MultiGpuOptions,
    connect,
    raise_on_lost_worker,
    threads_per_worker,
)
from pocketflow.utils.errors import LostWorkerError
from tests.conftest import TASK, run_main


@pytest.mark.parametrize(('num_cores', 'num_workers', 'num_threads'), [(8, 1, 8), (8, 3, 2), (8, 8, 1), (2, 5, 1)])
def test_cores_are_divided(num_cores, num_workers, num_threads):
    assert threads_per_worker(num_cores, num_workers) == num_threads


def test_one_worker_is_its_own_company():
    assert connect(MultiGpuOptions()) is ALONE and ALONE.is_primary
    tensor = tf.constant([1.0, 2.0])
    assert ALONE.average([tensor], half=True)[0] is ALONE.gather(tensor) is ALONE.exchange(tensor) is tensor
    assert ALONE.any(True) and not ALONE.any(False)
    assert ALONE.mean({'loss': tf.constant(2.0)})['loss'] == 2.0
    assert ALONE.share(lambda: 'x') == 'x'


class FakeHorovod:
    """Horovod as one of two workers sees it; `sent` is what the primary has broadcast, by name."""

    def __init__(self, rank: int, sent: dict[str, tf.Tensor]):
        self._rank, self._sent = rank, sent
        self.rank = self.local_rank = lambda: rank
        self.size = self.local_size = lambda: 2

    def broadcast(self, tensor: tf.Tensor, root_rank: int, name: str) -> tf.Tensor:
        if self._rank == root_rank:
            self._sent[name] = tensor
        assert (tensor.dtype, tensor.shape) == (self._sent[name].dtype, self._sent[name].shape)
        return self._sent[name]


def test_shared_values_travel_as_tensors_and_not_as_a_pickle():
    sent: dict[str, tf.Tensor] = {}
    primary, other = (HorovodWorkers(FakeHorovod(rank, sent)) for rank in range(2))
    value = {'trials': [{'number': 1, 'values': {'a': 0.5}}], 'file': b'\x00\xff', 'none': None}
    assert primary.share(lambda: value) == other.share(lambda: pytest.fail('only the primary makes it')) == value
    with pytest.raises(TypeError, match='a Path cannot be sent|a PosixPath cannot be sent'):
        primary.share(lambda: Path('x'))
    sent['share.content'] = tf.constant(np.frombuffer(pickle.dumps(value), np.uint8))
    sent['share.length'] = tf.constant(len(pickle.dumps(value)), tf.int64)
    with pytest.raises(ValueError):
        other.share(lambda: None)


def refused(*words: str) -> str:
    outcome = run_main(*TASK, '--learner=full-prec', *words)
    assert (outcome.code, outcome.out) == (2, '')
    (line,) = outcome.err.splitlines()
    return line


@pytest.mark.parametrize('kind', ['ecq', 'fp16'])
def test_compressed_gradients_are_for_several_workers(kind):
    assert refused(f'--grad_compression={kind}') == (
        f'error: --grad_compression={kind} would have no effect: it needs --enbl_multi_gpu; give that, or drop the flag'
    )


@pytest.mark.parametrize(
    ('raised', 'told'),
    [
        ('ImportError("No module named horovod")', 'is not installed (No module named horovod)'),
        ('OSError("undefined symbol: _ZN10tensorflow\\nmore")', 'cannot be loaded (undefined symbol: _ZN10tensorflow)'),
    ],
)
def test_a_horovod_that_cannot_be_used_takes_one_line(raised, told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / 'horovod.py').write_text(f'raise {raised}')
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split('.')[0] == 'horovod']:
        monkeypatch.delitem(sys.modules, name)
    assert refused('--enbl_multi_gpu') == (
        f'error: --enbl_multi_gpu: Horovod {told}; build it for this TensorFlow by scripts/install_horovod.sh'
    )


@pytest.mark.parametrize('text', ['Horovod has been shut down. This was caused by', 'Connection reset by peer'])
def test_a_lost_worker_takes_one_line(text: str):
    error = tf.errors.UnknownError(None, None, f'{{{{function_node f}}}} {text}')
    with (
        pytest.raises(LostWorkerError, match='another worker has ended, and this one cannot') as raised,
        raise_on_lost_worker(),
    ):
        raise error
    assert raised.value.exit_code == 75 and raised.value.__cause__ is error


def test_other_errors_of_tensorflow_are_not_taken_for_a_loss():
    with pytest.raises(tf.errors.ResourceExhaustedError), raise_on_lost_worker():
        raise tf.errors.ResourceExhaustedError(None, None, 'out of memory')


@pytest.mark.skipif(
    importlib.util.find_spec('horovod') is None,
    reason='NOT RUN: Horovod is not installed; scripts/install_horovod.sh builds it',
)
def test_without_a_launcher_there_is_one_worker():
    code = (
        'import tensorflow as tf; tf.zeros([1])\n'
        'from pocketflow.utils.distributed.multi_gpu_wrapper import MultiGpuOptions, connect\n'
        'workers = connect(MultiGpuOptions(enabled=True)); print(workers.size, workers.any(True))'
    )
    result = subprocess.run(
        [sys.executable, '-c', code],
        cwd=Path(__file__).resolve().parents[3],
        text=True,
        capture_output=True,
        check=False,
    )
    assert result.stdout == '1 True\n', result.stderr
