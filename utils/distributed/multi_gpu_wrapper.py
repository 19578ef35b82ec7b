"""Several workers that train one model together: the only file that knows Horovod.

Everything else sees `Workers`. Without `--enbl_multi_gpu` there is one worker, `ALONE`, for whom every exchange is
trivial, so that all code follows one path.
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

from pocketflow.utils.distributed.options import MultiGpuOptions
from pocketflow.utils.distributed.values import pack, unpack
from pocketflow.utils.errors import LostWorkerError, UsageError, first_line
from pocketflow.utils.system import interrupts

BUILD_IT = 'build it for this TensorFlow by scripts/install_horovod.sh'
CONNECTION_ERRORS = (
    'Horovod has been shut down',
    'Connection reset by peer',
    'Connection closed by peer',
    'Broken pipe',
)
"""What errors say in a worker whose company is gone."""


class Workers(abc.ABC):
    """The workers of a job, as one of them sees them.

    Attributes:
      rank: number of this worker, from 0; worker 0 decides and writes.
      size: number of workers.
      local_rank, local_size: the same among the workers on this machine.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int

    @property
    def is_primary(self) -> bool:
        """Whether this worker decides and writes."""
        return self.rank == 0

    @abc.abstractmethod
    def average(self, tensors: Sequence[tf.Tensor], half: bool = False) -> list[tf.Tensor]:
        """Means over all workers of float tensors that have the same shapes everywhere; usable within `tf.function`.

        Args:
          tensors: one or more.
          half: sends them as float16.
        """

    @abc.abstractmethod
    def gather(self, tensor: tf.Tensor) -> tf.Tensor:
        """`[n, ...]` of each worker -> `[size * n, ...]` of all in the order of ranks; usable within `tf.function`."""

    @abc.abstractmethod
    def exchange(self, tensor: tf.Tensor) -> tf.Tensor:
        """`[size * n, ...]` whose part i goes to worker i -> the parts that all sent to this worker, by rank."""

    @abc.abstractmethod
    def broadcast(self, variables: Sequence[tf.Variable]) -> None:
        """Gives every worker the primary's values of these variables."""

    @abc.abstractmethod
    def share(self, make: Callable[[], Any]) -> Any:
        """What `make` returns on the primary, which alone calls it.

        It must be a value that `pocketflow.utils.distributed.values` can send: of numbers, texts, bytes, arrays, lists
        and dictionaries. All workers get it as that gives it back, as with lists for tuples.
        """

    def any(self, condition: bool) -> bool:
        """Whether it holds for any worker; all must ask."""
        return bool(self.average([tf.constant(float(condition))])[0] > 0)

    def mean(self, values: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Means of scalars by name; usable within `tf.function`."""
        means = self.average([tf.stack([tf.cast(value, tf.float32) for value in values.values()])])[0]
        return dict(zip(values, tf.unstack(means, len(values)), strict=True))


class Alone(Workers):
    """One worker."""

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
    """The workers that `horovodrun` or `mpirun` has started.

    Args:
      hvd: the initialised module `horovod.tensorflow`.
    """

    def __init__(self, hvd: Any):
        self._hvd = hvd
        self.rank, self.size = hvd.rank(), hvd.size()
        self.local_rank, self.local_size = hvd.local_rank(), hvd.local_size()
        self._numbers = itertools.count()

    def _named(self, name: str) -> dict[str, Any]:
        """What tells an operation from others that are under way.

        Horovod's own names come from those of layers and variables, and where a worker has built more of them than
        another, the two would wait for each other for ever. Outside of `tf.function` operations are done one by one.
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
        # Not broadcast_object, which sends a pickle: what a worker reads could then run code in it.
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
    except Exception as error:  # the loader of its library raises what it likes
        raise UsageError(f'--enbl_multi_gpu: Horovod cannot be loaded ({first_line(error)}); {BUILD_IT}') from error
    hvd.init()
    return hvd


def connect(options: MultiGpuOptions) -> Workers:
    """The workers of this job; with `--enbl_multi_gpu` this machine's devices are divided among its workers.

    Must be called before TensorFlow computes anything.
    """
    if not options.enabled:
        return ALONE
    workers = HorovodWorkers(load_horovod())
    if workers.size > 1:  # started without a launcher, one worker finds TensorFlow at work already
        divide_devices(workers)
    return workers


@contextlib.contextmanager
def raise_on_lost_worker() -> Iterator[None]:
    """The block in which workers need each other.

    Raises:
      Interrupted: this worker was asked to stop.
      LostWorkerError: one of the others has ended; Horovod tells it by errors of TensorFlow in whatever comes next.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if not any(sign in str(error) for sign in CONNECTION_ERRORS):
            raise
        interrupts.check()  # all were asked to stop, and the others have ended first
        raise LostWorkerError(
            'another worker has ended, and this one cannot go on without it; the same command '
            'continues from the last checkpoint'
        ) from error


def divide_devices(workers: Workers) -> None:
    """One GPU each, or, where there is none, an equal part of the cores."""
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
    """How many threads each of the workers on a machine may use.

    >>> threads_per_worker(8, 3)
    2
    """
    return max(1, num_cores // num_workers)
