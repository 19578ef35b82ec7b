"""The interface of the workers of a distributed training, and the worker that is alone."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf


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
