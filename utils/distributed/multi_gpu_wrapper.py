"""Communication between the workers of a distributed training; the only module that imports Horovod.

All other code uses the interface `Workers`. Without `--enbl_multi_gpu` there is one worker, `ALONE`, whose collective
operations are trivial, so that there is one code path.
"""

from __future__ import annotations

import abc
import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pocketflow.utils.distributed.launchers import refuse_other_launchers
from pocketflow.utils.distributed.options import MultiGpuOptions
from pocketflow.utils.distributed.values import pack, unpack
from pocketflow.utils.errors import LostWorkerError, UsageError, first_line
from pocketflow.utils.system import interrupts

BUILD_IT = 'build it for this TensorFlow by scripts/install_horovod.sh'
LOST_WORKER_ERRORS = (
    'Horovod has been shut down',
    'Connection reset by peer',
    'Connection closed by peer',
    'Broken pipe',
)
"""Texts of the errors in a worker that has lost its connection to the others."""


class Workers(abc.ABC):
    """Collective operations of the workers of a job.

    Attributes:
      rank: rank of this worker, from 0; worker 0, the primary, makes decisions and writes files.
      size: number of workers.
      local_rank, local_size: the same, among the workers on this machine.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int

    @property
    def is_primary(self) -> bool:
        """Whether this worker makes decisions and writes files (rank 0)."""
        return self.rank == 0

    @abc.abstractmethod
    def average(self, tensors: Sequence[tf.Tensor], half: bool = False) -> list[tf.Tensor]:
        """Averages float tensors, of equal shapes on all workers, over all workers; usable within `tf.function`.

        Args:
          tensors: one or more tensors.
          half: whether they are sent as float16.
        """

    @abc.abstractmethod
    def gather(self, tensor: tf.Tensor) -> tf.Tensor:
        """All-gather: `[n, ...]` of each worker -> `[size * n, ...]`, by rank; usable within `tf.function`."""

    @abc.abstractmethod
    def exchange(self, tensor: tf.Tensor) -> tf.Tensor:
        """All-to-all: part i of `[size * n, ...]` is sent to worker i; returns the received parts, by rank."""

    @abc.abstractmethod
    def broadcast(self, variables: Sequence[tf.Variable]) -> None:
        """Sets these variables on all workers to the primary's values."""

    @abc.abstractmethod
    def share(self, make: Callable[[], Any]) -> Any:
        """Calls `make` on the primary only, and returns its result on all workers.

        The result must be serialisable by `pocketflow.utils.distributed.values`: numbers, strings, bytes, arrays,
        lists and dictionaries. All workers receive the deserialised value, with lists in place of tuples.
        """

    def any(self, condition: bool) -> bool:
        """Whether the condition is true on any worker; all workers must call it."""
        return bool(self.average([tf.constant(float(condition))])[0] > 0)

    def mean(self, values: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Averages scalars by name over all workers; usable within `tf.function`."""
        means = self.average([tf.stack([tf.cast(value, tf.float32) for value in values.values()])])[0]
        return dict(zip(values, tf.unstack(means, len(values)), strict=True))


class Alone(Workers):
    """A single worker."""

    rank, size, local_rank, local_size = 0, 1, 0, 1

    def average(self, tensors: Sequence[tf.Tensor], half: bool = False) -> list[tf.Tensor]:
        return list(tensors)

    def gather(self, tensor: tf.Tensor) -> tf.Tensor:
        return tensor

    def exchange(self, tensor: tf.Tensor) -> tf.Tensor:
        return tensor

    def broadcast(self, variables: Sequence[tf.Variable]) -> None:
        pass

    def share(self, make: Callable[[], Any]) -> Any:
        return make()

    def mean(self, values: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return dict(values)


ALONE = Alone()


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
    workers = HorovodWorkers(load_horovod())
    if workers.size > 1:
        divide_devices(workers)
    else:  # a single worker without a launcher, for which TensorFlow is initialised already
        refuse_other_launchers(os.environ)
    return workers


@contextlib.contextmanager
def raise_on_lost_worker() -> Iterator[None]:
    """Converts communication errors of the block into a `LostWorkerError`.

    Raises:
      Interrupted: this worker was asked to stop.
      LostWorkerError: another worker has ended, which Horovod reports as a TensorFlow error of the next operation.
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


def divide_devices(workers: Workers) -> None:
    """Assigns one GPU per worker or, without GPUs, an equal share of the cores."""
    gpus = tf.config.list_physical_devices('GPU')
    if gpus:
        if workers.local_rank >= len(gpus):
            raise UsageError(
                f'{workers.local_size} workers on a machine with {len(gpus)} GPU(s); start at most as many'
            )
        tf.config.set_visible_devices(gpus[workers.local_rank], 'GPU')
        return
    num_threads = threads_per_worker(len(os.sched_getaffinity(0)), workers.local_size)
    tf.config.threading.set_intra_op_parallelism_threads(num_threads)
    tf.config.threading.set_inter_op_parallelism_threads(max(2, num_threads))


def threads_per_worker(num_cores: int, num_workers: int) -> int:
    """Number of threads per worker on a machine.

    >>> threads_per_worker(8, 3)
    2
    """
    return max(1, num_cores // num_workers)
