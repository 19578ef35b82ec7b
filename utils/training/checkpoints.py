"""Checkpoints and exact resume of a training by one or several workers, also with another number of workers.

The primary writes; state that is equal on all workers is broadcast on restoring. State that differs between workers,
such as the accumulated errors of gradient compression, is gathered, stored by rank, and distributed on restoring.

Checkpoints are found by reading the files, not by TensorFlow's list of checkpoints, which may be damaged itself.
Training resumes exactly from any intact checkpoint; from an older one it repeats the steps since.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras
from absl import logging

from pocketflow.utils.distributed.multi_gpu_wrapper import ALONE, Workers
from pocketflow.utils.errors import PocketFlowError, first_line
from pocketflow.utils.system import atomic
from pocketflow.utils.training import checkpoint_files

GENERATOR_DISTANCE = 1 << 40
"""Distance of the workers' random generators; more numbers than any worker draws."""

NOTE_KEY = 'note/.ATTRIBUTES/VARIABLE_VALUE'
"""Key of the note in a checkpoint; those of former versions have none."""


def random_generators(model: keras.Model) -> list[tf.random.Generator]:
    """Generators of a model's random layers, such as dropout; Keras does not include them in checkpoints."""
    holders = [getattr(layer, '_random_generator', None) for layer in model.submodules]
    generators = [getattr(holder, '_generator', None) for holder in holders]
    return [generator for generator in generators if generator is not None]


def rescaled_step(step: int, samples_per_step: int, new_samples_per_step: int) -> int:
    """Converts a step to that with the same number of samples seen, at another number of samples per step.

    >>> rescaled_step(100, 256, 512)
    50
    """
    return step * samples_per_step // new_samples_per_step


class Checkpoints:
    """Writes and restores model, optimizer and further state.

    Args:
      folder: folder of the checkpoints; with `None` nothing is written.
      model, optimizer: the trained model and its optimizer; `optimizer.iterations` counts the steps.
      state: further variables with equal values on all workers.
      local_state: float variables with different values per worker.
      adopt: function that converts local state of another number of workers, `[workers, ...]` per variable.
      workers: the workers.
      samples_per_step: training samples per step of all workers together.

    Attributes:
      note: a text for the current step; saved and restored, equal on all workers.
    """

    def __init__(
        self,
        folder: Path | None,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        *,
        state: Sequence[tf.Variable] = (),
        local_state: Sequence[tf.Variable] = (),
        adopt: Callable[[Sequence[np.ndarray]], None] | None = None,
        workers: Workers = ALONE,
        samples_per_step: int = 1,
    ):
        self._workers, self._optimizer = workers, optimizer
        self._generators = random_generators(model)
        self._shared = [
            *model.variables,
            *optimizer.variables,
            *state,
            *(generator.state for generator in self._generators),
        ]
        self._local, self._adopt = list(local_state), adopt
        # The stored state may be that of another number of workers, with other shapes.
        self._gathered = [
            tf.Variable(tf.zeros([0, *variable.shape]), shape=[None] * (1 + len(variable.shape)), trainable=False)
            for variable in self._local
        ]
        self._samples_per_step = samples_per_step
        self._recorded_samples = tf.Variable(samples_per_step, trainable=False, dtype=tf.int64)
        self._folder = folder if workers.is_primary else None
        self.note, self._recorded_note = '', tf.Variable('', trainable=False)
        parts = {
            'model': model,
            'optimizer': optimizer,
            'generators': self._generators,
            'state': list(state),
            'gathered': self._gathered,
            'samples_per_step': self._recorded_samples,
        }
        self._checkpoint = tf.train.Checkpoint(**parts, note=self._recorded_note)
        self._former = tf.train.Checkpoint(**parts)

    def restore(self, label: str) -> int:
        """Loads the newest intact checkpoint, if any, on all workers; returns its step.

        Raises:
          PocketFlowError: there are checkpoints, but all are damaged.
        """
        if self._folder is not None:
            with atomic.naming(self._folder):
                self._folder.mkdir(exist_ok=True)
                checkpoint_files.remove_leftovers(self._folder)
            if prefixes := checkpoint_files.newest_first(self._folder, self._samples_per_step):
                self._read_newest(prefixes)
                self._rescale()
                logging.info('%s: continuing from step %d', label, int(self._optimizer.iterations))
        self.note = self._workers.share(lambda: self._recorded_note.numpy().decode('utf-8', 'replace'))
        if self._workers.size > 1:
            self._workers.broadcast(self._shared)
            self._part_generators()
        self._scatter()
        return int(self._optimizer.iterations)

    def save(self) -> None:
        """Writes a checkpoint of the current step; all workers must call it."""
        for gathered, local in zip(self._gathered, self._local, strict=True):
            gathered.assign(self._workers.gather(local[tf.newaxis]))
        if self._folder is not None:
            step = int(self._optimizer.iterations)
            self._recorded_note.assign(self.note)
            with checkpoint_files.writing(self._folder, step) as prefix:
                self._checkpoint.write(str(prefix))
            checkpoint_files.remove_outdated(self._folder, self._folder / prefix.name, self._samples_per_step)

    def _read_newest(self, prefixes: Sequence[Path]) -> None:
        """Loads the first intact checkpoint of these; logs the damaged ones."""
        for prefix in prefixes:
            reason = checkpoint_files.find_defect(prefix) or self._read(prefix)
            if reason is None:
                return
            if prefix != prefixes[-1]:
                logging.warning('%s: damaged checkpoint (%s); going on from the one before', prefix, reason)
        raise PocketFlowError(
            f'{prefix}: damaged checkpoint ({reason}), and no other one is intact; delete the folder '
            f'{self._folder} to train the stage again'
        )

    def _read(self, prefix: Path) -> str | None:
        """Loads an intact checkpoint; returns a message if it lacks values of the current model, else `None`."""
        self._recorded_note.assign('')
        has_note = checkpoint_files.stored_value(prefix, NOTE_KEY) is not None
        try:
            status = (self._checkpoint if has_note else self._former).read(str(prefix))
            # TensorFlow warns of values that were not restored when the status is deleted, unless this is expected.
            status.expect_partial().assert_existing_objects_matched()
        except (AssertionError, ValueError) as error:
            return first_line(error)
        return None

    def _rescale(self) -> None:
        """Rescales the step count if the number of samples per step has changed."""
        iterations, recorded = self._optimizer.iterations, int(self._recorded_samples)
        iterations.assign(rescaled_step(int(iterations), recorded, self._samples_per_step))
        self._recorded_samples.assign(self._samples_per_step)

    def _part_generators(self) -> None:
        """Skips each worker's generators by a fixed distance from the primary's, which stay unchanged."""
        for generator in self._generators:
            generator.skip(self._workers.rank * GENERATOR_DISTANCE)

    def _scatter(self) -> None:
        states = [self._workers.share(gathered.numpy) for gathered in self._gathered]
        num_workers = len(states[0]) if states else 0
        if num_workers == self._workers.size:
            for local, state in zip(self._local, states, strict=True):
                local.assign(state[self._workers.rank])
        elif num_workers and self._adopt is not None:
            self._adopt(states)
