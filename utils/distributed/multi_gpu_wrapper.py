"""Communication between the workers of a distributed training; the only module that imports Horovod.

`connect` chooses the engine: Horovod, or TensorFlow's own collectives (`--engine=tf`, tf_workers.py). All other code
uses the interface `Workers` of workers.py. Without `--enbl_multi_gpu` there is one worker, `ALONE`, whose collective
operations are trivial, so that there is one code path.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pocketflow.utils.distributed.launchers import refuse_other_launchers
from pocketflow.utils.distributed.options import MultiGpuOptions
from pocketflow.utils.distributed.tf_cluster import cluster_of, local_place
from pocketflow.utils.distributed.tf_workers import TensorFlowWorkers
from pocketflow.utils.distributed.values import pack, unpack
from pocketflow.utils.distributed.workers import ALONE, Alone, Workers
from pocketflow.utils.errors import LostWorkerError, UsageError, first_line
from pocketflow.utils.system import interrupts

__all__ = ['ALONE', 'Alone', 'HorovodWorkers', 'MultiGpuOptions', 'Workers', 'connect', 'raise_on_lost_worker']

BUILD_IT = 'build it for this TensorFlow by scripts/install_horovod.sh'
LOST_WORKER_ERRORS = (
    'Horovod has been shut down',
    'Connection reset by peer',
    'Connection closed by peer',
    'Broken pipe',
    'Collective ops is aborted by',
)
"""Texts of the errors in a worker that has lost its connection to the others."""


class HorovodWorkers(Workers):
    """Workers started by `horovodrun` or `mpirun`.

    Args:
      hvd: the initialised module `horovod.tensorflow`.
    """

    def __init__(self, hvd: Any):
        self._hvd = hvd
        self.rank, self.size = hvd.rank(), hvd.size()
        self.local_rank, self.local_size = hvd.local_rank(), hvd.local_size()
        self._numbers = itertools.count()

    def _named(self, name: str) -> dict[str, Any]:
        """Name that identifies an operation among those in progress.

        Horovod derives default names from layers and variables; if one worker has built more of them than another,
        the workers would deadlock. Outside of `tf.function` operations are executed one at a time.
        """
        return {} if tf.executing_eagerly() else {'name': f'{name}.{next(self._numbers)}', 'ignore_name_scope': True}

    def average(self, tensors: Sequence[tf.Tensor], half: bool = False) -> list[tf.Tensor]:
        compression = self._hvd.Compression.fp16 if half else self._hvd.Compression.none
        averages: list[tf.Tensor] = self._hvd.grouped_allreduce(
            list(tensors), op=self._hvd.Average, compression=compression, **self._named('average')
        )
        return averages

    def gather(self, tensor: tf.Tensor) -> tf.Tensor:
        return self._hvd.allgather(tensor, **self._named('gather'))

    def exchange(self, tensor: tf.Tensor) -> tf.Tensor:
        splits = tf.fill([self.size], tensor.shape[0] // self.size)
        return self._hvd.alltoall(tensor, splits=splits, **self._named('exchange'))[0]

    def broadcast(self, variables: Sequence[tf.Variable]) -> None:
        for variable in variables:
            variable.assign(self._hvd.broadcast(variable, root_rank=0))

    def share(self, make: Callable[[], Any]) -> Any:
        # Not broadcast_object, which sends a pickle: received data could execute code.
        own = pack(make()) if self.is_primary else b''
        length = int(self._hvd.broadcast(tf.constant(len(own), tf.int64), root_rank=0, name='share.length'))
        content = np.frombuffer(own, np.uint8) if self.is_primary else np.zeros(length, np.uint8)
        return unpack(self._hvd.broadcast(tf.constant(content), root_rank=0, name='share.content').numpy().data)


def load_horovod() -> Any:
    """The initialised module `horovod.tensorflow`.

    Raises:
      UsageError: it is not installed, or was built for another TensorFlow.
    """
    try:
        import horovod.tensorflow as hvd
    except ImportError as error:
        raise UsageError(f'--enbl_multi_gpu: Horovod is not installed ({error}); {BUILD_IT}') from error
    except Exception as error:  # loading its library may raise any type
        raise UsageError(f'--enbl_multi_gpu: Horovod cannot be loaded ({first_line(error)}); {BUILD_IT}') from error
    hvd.init()
    return hvd


def connect(options: MultiGpuOptions) -> Workers:
    """Returns the workers of this job; with `--enbl_multi_gpu` divides this machine's devices among its workers.

    Must be called before TensorFlow computes anything.

    Raises:
      UsageError: Horovod is missing, or a launcher has started several processes that are not workers of one job.
    """
    if not options.enabled:
        return ALONE
    if options.engine == 'tf':
        return connect_tensorflow()
    workers = HorovodWorkers(load_horovod())
    if workers.size > 1:
        divide_devices(workers.local_rank, workers.local_size)
    else:  # a single worker without a launcher, for which TensorFlow is initialised already
        refuse_other_launchers(os.environ)
    return workers


def connect_tensorflow() -> Workers:
    """The workers of this job over TensorFlow's own collectives; Horovod need not be installed.

    Raises:
      UsageError: the environment does not describe the workers.
    """
    addresses, rank = cluster_of(os.environ)
    if len(addresses) == 1:
        return ALONE
    local_rank, local_size = local_place(addresses, rank)
    divide_devices(local_rank, local_size)  # before TensorFlow's server is started, which fixes them
    return TensorFlowWorkers(addresses, rank)


@contextlib.contextmanager
def raise_on_lost_worker() -> Iterator[None]:
    """Converts communication errors of the block into a `LostWorkerError`.

    Raises:
      Interrupted: this worker was asked to stop.
      LostWorkerError: another worker has ended, which the engine reports as a TensorFlow error of the next operation.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if not any(sign in str(error) for sign in LOST_WORKER_ERRORS):
            raise
        interrupts.check()  # all workers were asked to stop, and the others have ended first
        raise LostWorkerError(
            'another worker has ended, and this one cannot go on without it; the same command '
            'continues from the last checkpoint'
        ) from error


def divide_devices(local_rank: int, local_size: int) -> None:
    """Assigns one GPU per worker or, without GPUs, an equal share of the cores."""
    gpus = tf.config.list_physical_devices('GPU')
    if gpus:
        if local_rank >= len(gpus):
            raise UsageError(f'{local_size} workers on a machine with {len(gpus)} GPU(s); start at most as many')
        tf.config.set_visible_devices(gpus[local_rank], 'GPU')
        return
    num_threads = threads_per_worker(len(os.sched_getaffinity(0)), local_size)
    tf.config.threading.set_intra_op_parallelism_threads(num_threads)
    tf.config.threading.set_inter_op_parallelism_threads(max(2, num_threads))


def threads_per_worker(num_cores: int, num_workers: int) -> int:
    """Number of threads per worker on a machine.

    >>> threads_per_worker(8, 3)
    2
    """
    return max(1, num_cores // num_workers)
