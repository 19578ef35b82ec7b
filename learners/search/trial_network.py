"""One network for all candidates of a search: restored, converted to a candidate, fine-tuned and evaluated."""

from __future__ import annotations

import copy
import dataclasses
import math

import tensorflow as tf
import tf_keras as keras

from pocketflow.datasets.sourced_dataset import Shard
from pocketflow.hp_optimizer import TrialResult
from pocketflow.hp_optimizer.domain import Values
from pocketflow.hp_optimizer.options import SearchOptions
from pocketflow.learners.search.candidates import Candidates
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.training.checkpoints import random_generators
from pocketflow.utils.training.options import TrainerOptions
from pocketflow.utils.training.schedules import Schedule
from pocketflow.utils.training.trainer import DistributedContext, DivergedError, Evaluation, LossFn, Trainer

TRIAL_MOMENTUM = 0.9
"""Largest momentum of batch normalisation in trials, whose moving statistics must adapt in few steps."""


class HalfCosine(Schedule):
    """Half-cosine decay from the peak to 0 over a variable number of steps.

    Args:
      peak: learning rate of the first step.
    """

    def __init__(self, peak: float):
        super().__init__()
        self.peak = peak
        self.num_steps = tf.Variable(1.0, trainable=False)

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        return self.peak / 2 * (1 + tf.cos(math.pi * tf.cast(step, tf.float32) / self.num_steps))

    def get_config(self) -> dict[str, float]:
        return {'peak': self.peak}


@dataclasses.dataclass(frozen=True)
class Tuning:
    """Fine-tuning and evaluation of candidates.

    Attributes:
      loss_fn: the loss of the training after the search.
      peak: learning rate of the first step.
      num_steps: steps per worker; 0 for none.
      num_longer: steps per worker of the longer tuning, which is evaluated on all held-out samples.
      num_eval_batches: batches of the held-out samples on which other trials are evaluated; None for all.
      screening: whether candidates are also evaluated before tuning.
      options: options of the training, such as its precision.
      distributed: distributed settings of the training of one candidate.
    """

    loss_fn: LossFn
    peak: float
    num_steps: int
    num_longer: int
    num_eval_batches: int | None
    screening: bool
    options: TrainerOptions
    distributed: DistributedContext


def trial_helper(helper: AbstractModelHelper, search: SearchOptions) -> AbstractModelHelper:
    """The pair for one trial: with all data, or with a worker's shard if workers share a trial."""
    return unsharded(helper) if search.side_by_side else helper


def unsharded(helper: AbstractModelHelper) -> AbstractModelHelper:
    """A copy of the pair without sharding of the data."""
    alone = copy.copy(helper)
    alone.dataset = copy.copy(helper.dataset)
    alone.dataset.shard = Shard()
    return alone


class TrialNetwork:
    """Evaluates candidates on the held-out samples; each starts from the same weights and the same batches.

    The network, its training step and its evaluation are built and traced once.

    Args:
      candidates: the network and the application of candidates to it.
      helper: the model/dataset pair, whose held-out samples are not trained on.
      tuning: settings of fine-tuning and evaluation.
    """

    def __init__(self, candidates: Candidates, helper: AbstractModelHelper, tuning: Tuning):
        self._candidates, self._tuning = candidates, tuning
        self._metric = helper.task.primary
        model, parts = candidates.model, candidates.parts
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = min(layer.momentum, TRIAL_MOMENTUM)
        self._first = [(variable, variable.numpy()) for variable in (*model.variables, *parts.state)]
        self._generators, self._rank = random_generators(model), helper.dataset.shard.rank
        self._batches, held_out = helper.build_dataset_train(enbl_trn_val_split=True)
        self._evaluation = Evaluation(model, tuning.loss_fn, held_out, helper.task)
        self._schedule = HalfCosine(tuning.peak)
        optimizer = helper.make_optimizer(self._schedule, parts.trained(model))
        self._trainer = Trainer(
            model, tuning.loss_fn, optimizer, tuning.options, parts=parts, label=None, distributed=tuning.distributed
        )

    def evaluate(self, values: Values, longer: bool = False, floor: float = -math.inf) -> TrialResult:
        """Applies, fine-tunes and evaluates a candidate.

        Args:
          values: the candidate.
          longer: whether to tune it longer and evaluate it on all held-out samples.
          floor: least reward before tuning with which it is tuned.
        """
        tuning = self._tuning
        num_steps = tuning.num_longer if longer else tuning.num_steps
        num_batches = None if longer else tuning.num_eval_batches
        self._reset()
        self._candidates.apply(values)
        before = self._reward(values, num_batches) if tuning.screening and num_steps and not longer else math.nan
        if before < floor or (num_steps and not self._tune(num_steps)):
            return TrialResult(math.nan, before)
        return TrialResult(self._reward(values, num_batches), before)

    def _reset(self) -> None:
        for variable, value in self._first:
            variable.assign(value)
        for variable in self._trainer.optimizer.variables:
            variable.assign(tf.zeros_like(variable))
        for generator in self._generators:
            generator.reset_from_seed(self._rank)

    def _reward(self, values: Values, num_batches: int | None) -> float:
        metrics = self._evaluation(num_batches)
        if not math.isfinite(metrics['loss']):
            return math.nan
        return self._candidates.reward(self._metric.quality(metrics[self._metric.name]), values)

    def _tune(self, num_steps: int) -> bool:
        """Fine-tunes the candidate; returns False if it diverges, which does not end the search."""
        self._schedule.num_steps.assign(num_steps)
        try:
            self._trainer.fit(lambda step: self._batches, num_steps)
        except DivergedError:
            return False
        return True
