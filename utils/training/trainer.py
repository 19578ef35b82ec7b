"""The training loop of all learners.

One `tf.function` call runs many steps, so that Python is not in the inner loop. The loop writes checkpoints, resumes
exactly (the data order is a function of the step), reports progress, and stops on a non-finite loss. Several workers
run it synchronously: they average their gradients, and stop at the same step.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.distributed.gradient_compression import make_reducer
from pocketflow.utils.distributed.gradient_compression.options import CompressionOptions
from pocketflow.utils.distributed.multi_gpu_wrapper import ALONE, Workers
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.runs.metrics_log import MetricsLog
from pocketflow.utils.system import interrupts
from pocketflow.utils.system.progress import Progress
from pocketflow.utils.tasks.nests import Nest, concatenated, num_samples
from pocketflow.utils.tasks.task import Task
from pocketflow.utils.training.checkpoints import Checkpoints
from pocketflow.utils.training.distillation import Distillation
from pocketflow.utils.training.means import WeightedMeans
from pocketflow.utils.training.options import TrainerOptions
from pocketflow.utils.training.precision import compute_dtype, resolve_compute_dtype

STEPS_PER_CALL = 20

# Random layers then store their state in variables, which checkpoints hold, so that a resumed run is exact.
keras.backend.experimental.enable_tf_random_generator()

DIVERGENCE_FACTOR = 1e6
"""Factor of the loss before training, or of 1, above which training counts as diverged: guessing gives a loss of a few
units, a diverged network a much larger or non-finite one."""

REMEDY = 'lower --lrn_rate_init, or try --compute_dtype=float32 (other flags need another --run_dir, if you gave one)'

LossFn = Callable[[Nest, Nest, list[tf.Variable]], tuple[tf.Tensor, dict[str, tf.Tensor]]]


class DivergedError(PocketFlowError):
    """The loss became infinite, NaN, or too large."""


def refuse_divergence(before: float, after: float, label: str) -> None:
    """Raises a `DivergedError` if the evaluation loss is too large after training, though training losses were finite.

    Args:
      before, after: the loss on the evaluation set before and after the training.
      label: name of the training, for the message.
    """
    if not after <= DIVERGENCE_FACTOR * max(1.0, before):  # true for NaN, too
        raise DivergedError(
            f'{label}: the loss on the evaluation set is {after:.4g} after training ({before:.4g} '
            f'before): it has diverged; {REMEDY}'
        )


@dataclasses.dataclass(frozen=True)
class TrainerParts:
    """Optional additions to plain training.

    Attributes:
      distillation: the distillation loss to add.
      constraint: function called after each optimizer step with the number of steps done (int64), for example to
        re-apply masks to the model's variables.
      variables: variables to train; default: all trainable variables of the model.
      state: further variables to store in checkpoints, such as masks.
      metrics: function that returns further scalars to log per step, by name; called after the constraint.
    """

    distillation: Distillation | None = None
    constraint: Callable[[tf.Tensor], None] | None = None
    variables: Sequence[tf.Variable] | None = None
    state: Sequence[tf.Variable] = ()
    metrics: Callable[[], dict[str, tf.Tensor]] | None = None

    def trained(self, model: keras.Model) -> list[tf.Variable]:
        """The variables that a training of the model changes."""
        return list(model.trainable_variables if self.variables is None else self.variables)


@dataclasses.dataclass(frozen=True)
class DistributedContext:
    """Distributed settings of one training.

    Attributes:
      workers: the workers.
      compression: options of gradient compression.
      samples_per_step: training samples per step of all workers together.
      seed: seed of the gradients' stochastic rounding.
    """

    workers: Workers = ALONE
    compression: CompressionOptions = CompressionOptions()
    samples_per_step: int = 1
    seed: int = 0


class Trainer:
    """Trains a model by SGD.

    Args:
      model: a functional Keras model; its variables are trained in place.
      loss_fn: `(labels, outputs, trainable_vars) -> (loss, metrics)`, scalars.
      optimizer: a Keras optimizer; its `iterations` counts the steps.
      options: intervals and precision.
      folder: folder of the checkpoints; with `None` none are written.
      parts: optional additions.
      log, label: log of the metrics, and name of the training; without a label nothing is logged.
      distributed: distributed settings.
    """

    def __init__(
        self,
        model: keras.Model,
        loss_fn: LossFn,
        optimizer: keras.optimizers.Optimizer,
        options: TrainerOptions,
        *,
        folder: Path | None = None,
        parts: TrainerParts = TrainerParts(),
        log: MetricsLog | None = None,
        label: str | None = 'train',
        distributed: DistributedContext = DistributedContext(),
    ):
        self.model, self.loss_fn, self.optimizer = model, loss_fn, optimizer
        self.options, self.parts = options, parts
        self.log, self.label = log, label
        self._name = label or 'tuning'
        self.dtype = resolve_compute_dtype(options.compute_dtype, model)
        self.variables = parts.trained(model)
        self.optimizer.build(self.variables)
        self.workers, self._samples_per_step = distributed.workers, distributed.samples_per_step
        self._reducer = make_reducer(distributed.compression, distributed.workers, self.variables, distributed.seed)
        self._checkpoints = Checkpoints(
            folder,
            model,
            optimizer,
            state=parts.state,
            local_state=self._reducer.local_state,
            adopt=self._reducer.adopt,
            workers=distributed.workers,
            samples_per_step=distributed.samples_per_step,
        )
        self._stop = tf.Variable(False, trainable=False)
        # A new function, since TensorFlow counts the traces of one method over all trainers, and warns of many.
        self._run_steps = tf.function(functools.partial(self._run))

    def fit(self, make_batches: Callable[[int], tf.data.Dataset], num_steps: int) -> float:
        """Trains until step `num_steps`, from the newest checkpoint if there is one.

        Args:
          make_batches: returns the infinite stream of batches that begins at a given step.
          num_steps: total number of steps.

        Returns:
          Steady-state training speed in images per second.

        Raises:
          DivergedError: the loss became infinite or NaN.
          Interrupted: a signal arrived; a checkpoint was written.
        """
        if self.workers.size == 1:  # several agree on it within the loop
            interrupts.check()
        if not self.variables:
            raise PocketFlowError(f'model {self.model.name!r} has no trainable weights: training would change nothing')
        step = self._checkpoints.restore(self._name)
        if self.log is not None:
            self.log.rewind(f'{self.label}/train', step)
        if step >= num_steps:
            return 0.0
        with compute_dtype(self.dtype), interrupts.deferred(lambda: self._stop.assign(True)) as signals:
            return self._loop(make_batches(step), step, num_steps, signals)

    def _loop(self, batches: tf.data.Dataset, step: int, num_steps: int, signals: interrupts.Deferred) -> float:
        iterator = iter(batches)
        batch_size = tf.nest.flatten(batches.element_spec)[0].shape[0] or 1
        progress = Progress(self._name, num_steps, step, batch_size * self.workers.size)
        means = WeightedMeans()
        means.resume_from(self._checkpoints.note)
        while step < num_steps:
            count = steps_until_due(step, num_steps, self.options.summary_step, self.options.save_step)
            totals, count = self._run_steps(iterator, tf.constant(count))
            count = int(count)
            if count:
                values = {name: float(total) / count for name, total in totals.items()}
                if not math.isfinite(loss := values['loss']):
                    raise DivergedError(
                        f'the loss is {loss} between steps {step} and {step + count} of {self._name}; {REMEDY}'
                    )
                step += count
                progress.advance(count)
                means.add(values, count * self._samples_per_step)
                self._after(step, num_steps, means, progress)
            if self._must_stop(signals):
                self._save(means)
                progress.close()
                raise interrupts.Interrupted(signals.signum or signal.SIGTERM)
        progress.close()
        return progress.rate.per_second

    def _must_stop(self, signals: interrupts.Deferred) -> bool:
        """Whether any worker was asked to stop; a signal may reach workers at different steps."""
        requested = signals.signum is not None
        return requested if self.workers.size == 1 else self.workers.any(requested)

    def _after(self, step: int, num_steps: int, means: WeightedMeans, progress: Progress) -> None:
        if is_due(step, self.options.summary_step, num_steps):
            values = {'learning_rate': float(self.optimizer.learning_rate), **means.take()}
            if self.label is not None:
                progress.report(values)
            if self.log is not None:
                self.log.write(f'{self.label}/train', step, {**values, 'images_per_second': progress.rate.per_second})
        if is_due(step, self.options.save_step, num_steps):
            self._save(means)
            progress.rate.skip()

    def _save(self, means: WeightedMeans) -> None:
        """Writes a checkpoint, including the sums of the current logging interval."""
        self._checkpoints.note = means.to_text()
        self._checkpoints.save()

    def _run(self, iterator: tf.data.Iterator, count: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Runs `count` steps, or fewer if a signal arrives; returns each metric's sum over them, and their number.

        Several workers do not stop within the loop, since the others would wait for the gradients of one that stops.
        """
        step = tf.function(self._step)
        names = step.get_concrete_function(*iterator.element_spec).structured_outputs
        totals = {name: tf.constant(0.0) for name in names}
        done = tf.constant(0)
        alone = self.workers.size == 1
        while done < count and not (alone and self._stop):
            values = step(*next(iterator))
            totals = {name: totals[name] + values[name] for name in names}
            done += 1
        self._agree_on_statistics()
        return self.workers.mean(totals), done

    def _agree_on_statistics(self) -> None:
        """Averages moving statistics and ranges over the workers: each worker updates them from its own batches."""
        tracked = [variable for variable in self.model.non_trainable_variables if variable.dtype.is_floating]
        if self.workers.size > 1 and tracked:
            for variable, mean in zip(tracked, self.workers.average(tracked), strict=True):
                variable.assign(mean)

    def _step(self, inputs: Nest, labels: Nest) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            outputs = self.model(inputs, training=True)
            loss, metrics = self.loss_fn(labels, outputs, self.variables)
            if self.parts.distillation is not None:
                metrics = {**metrics, 'distillation_loss': self.parts.distillation.loss(inputs, outputs)}
                loss += metrics['distillation_loss']
        gradients = tape.gradient(loss, self.variables)
        if self.workers.size > 1:
            gradients = self._reducer.reduce(gradients, self.optimizer.iterations.value())
        self.optimizer.apply_gradients(zip(gradients, self.variables, strict=True))
        if self.parts.constraint is not None:
            self.parts.constraint(self.optimizer.iterations.value())
        if self.parts.metrics is not None:
            metrics = {**metrics, **self.parts.metrics()}
        return {'loss': loss, **metrics}


def is_due(step: int, every: int, total: int) -> bool:
    """Whether an action is due that is performed every `every` steps and at the end."""
    return step % every == 0 or step == total


def steps_until_due(step: int, total: int, *intervals: int) -> int:
    """Number of steps until the next multiple of an interval, or the end."""
    return min(STEPS_PER_CALL, total - step, *(interval - step % interval for interval in intervals))


class Evaluation:
    """Repeated evaluation of a model on the same samples; the computation is traced once.

    Args:
      model, loss_fn: as for `Trainer`.
      batches: one ordered pass.
      task: adds its metrics, which are computed over the whole set.
    """

    def __init__(self, model: keras.Model, loss_fn: LossFn, batches: tf.data.Dataset, task: Task | None = None):
        self._batches, self._task = batches, task

        @tf.function(input_signature=batches.element_spec)
        def values_of(inputs: Nest, labels: Nest) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
            outputs = model(inputs, training=False)
            loss, metrics = loss_fn(labels, outputs, model.trainable_variables)
            return {'loss': loss, **metrics}, task.sample_values(labels, outputs) if task else {}

        self._values_of = values_of

    def __call__(self, num_batches: int | None = None, batches: tf.data.Dataset | None = None) -> dict[str, float]:
        """Loss and metrics over one pass.

        Args:
          num_batches: number of batches to evaluate; default: all.
          batches: other samples, in batches of the same specification.

        Returns:
          Values by name, `loss` first: means of the scalars of `loss_fn`, weighted by the number of samples per batch,
          and the metrics of the task.
        """
        means, of_samples = WeightedMeans(), []
        batches = self._batches if batches is None else batches
        for inputs, labels in batches if num_batches is None else batches.take(num_batches):
            interrupts.check()
            values, sample_values = self._values_of(inputs, labels)
            means.add({name: float(value) for name, value in values.items()}, num_samples(labels))
            of_samples.append(sample_values)
        metrics = means.take()
        return {**metrics, **(self._task.summarize(concatenated(of_samples)) if self._task else {})}


def evaluate(
    model: keras.Model, loss_fn: LossFn, batches: tf.data.Dataset, task: Task | None = None
) -> dict[str, float]:
    """Loss and metrics of a model over one pass; see `Evaluation`."""
    return Evaluation(model, loss_fn, batches, task)()
