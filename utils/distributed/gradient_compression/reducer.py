"""The reduction of gradients without compression, and the interface of the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from pocketflow.utils.distributed.multi_gpu_wrapper import Workers


class GradientReducer:
    """Averages the gradients over all workers, sent as float32 or float16.

    Args:
      workers: the workers.
      half: whether gradients are sent as float16.
    """

    def __init__(self, workers: Workers, half: bool = False):
        self._workers, self._half = workers, half

    @property
    def local_state(self) -> list[tf.Variable]:
        """Variables with different values per worker that checkpoints must hold."""
        return []

    def adopt(self, states: Sequence[np.ndarray]) -> None:
        """Initialises the local state from that of another number of workers, `[workers, ...]` each."""

    def reduce(self, gradients: Sequence[tf.Tensor], step: tf.Tensor) -> list[tf.Tensor]:
        """Averages this worker's gradients with those of the others at `step` (scalar integer)."""
        return self._workers.average(gradients, self._half)
