"""One network for all candidates of a search: put back, changed, tuned for a few steps and judged."""

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
"""Of the moving statistics of batch normalization, at most: tuning is short, and its end is what is judged."""


class HalfCosine(Schedule):
    """From the peak down to 0 along half a cosine, over a number of steps that can be changed.

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
    """How candidates are tuned and judged.

    Attributes:
      loss_fn: the loss of the training that follows the search.
      peak: learning rate of the first step.
      num_steps: steps per worker; 0 for none.
      num_longer: steps per worker of the longer tuning, which is judged on all held-out samples.
      num_eval_batches: batches of the held-out samples that judge other trials; None for all.
      screening: whether candidates are also judged before they are tuned.
      options: precision of training.
      distributed: who trains one candidate together.
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
    """The pair as one trial sees it: all of the data, or, where workers share a trial, a worker's part."""
    return unsharded(helper) if search.side_by_side else helper


def unsharded(helper: AbstractModelHelper) -> AbstractModelHelper:
    """The same pair, as one worker alone sees it."""
    alone = copy.copy(helper)
    alone.dataset = copy.copy(helper.dataset)
    alone.dataset.shard = Shard()
    return alone


class TrialNetwork:
    """Judges candidates on the held-out validation samples; each starts from the same weights and the same batches.

    The network, its training step and its evaluation are built and traced once.

    Args:
      candidates: the network, and what can become of it.
      helper: the model/dataset pair; its training leaves the held-out samples out.
      tuning: how candidates are tuned.
    """

    def __init__(self, candidates: Candidates, helper: AbstractModelHelper, tuning: Tuning):
        self._candidates, self._tuning = candidates, tuning
        self._metric = helper.primary_metric
        model, parts = candidates.model, candidates.parts
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = min(layer.momentum, TRIAL_MOMENTUM)
        self._first = [(variable, variable.numpy()) for variable in (*model.variables, *parts.state)]
        self._generators, self._rank = random_generators(model), helper.dataset.shard.rank
        self._batches, held_out = helper.build_dataset_train(enbl_trn_val_split=True)
        self._evaluation = Evaluation(model, tuning.loss_fn, held_out)
        self._schedule = HalfCosine(tuning.peak)
        optimizer = keras.optimizers.SGD(self._schedule, helper.net.momentum, jit_compile=False)
        self._trainer = Trainer(
            model, tuning.loss_fn, optimizer, tuning.options, parts=parts, label=None, distributed=tuning.distributed
        )

    def judge(self, values: Values, longer: bool = False, floor: float = -math.inf) -> TrialResult:
        """Makes, tunes and measures a candidate.

        Args:
          values: the candidate.
          longer: tunes it longer, and judges it on all held-out samples.
          floor: one whose reward before tuning is less is not tuned.
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
        return self._candidates.reward(metrics[self._metric], values)

    def _tune(self, num_steps: int) -> bool:
        """Whether tuning went well: a candidate that diverges is worth nothing, and no reason to stop."""
        self._schedule.num_steps.assign(num_steps)
        try:
            self._trainer.fit(lambda step: self._batches, num_steps)
        except DivergedError:
            return False
        return True
