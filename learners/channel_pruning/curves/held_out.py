"""The quality of pruned networks on held-out training samples."""

from __future__ import annotations

import tf_keras as keras

from pocketflow.learners.channel_pruning.curves.curves import Quality
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.tasks.nests import num_samples
from pocketflow.utils.training.trainer import Evaluation

NUM_SAMPLES = 500
"""Held-out samples that each point is measured on; whole batches."""


class HeldOutQuality:
    """Evaluates models on the first held-out samples, without weight decay.

    Args:
      helper: the pair.
      least_samples: number of samples; whole batches are used, so that there may be more.
    """

    def __init__(self, helper: AbstractModelHelper, least_samples: int = NUM_SAMPLES):
        self._helper, self._metric = helper, helper.task.primary
        _, held_out = helper.build_dataset_train(enbl_trn_val_split=True)
        self._batches = held_out.take(num_batches(helper, least_samples)).cache()
        self._evaluation: tuple[keras.Model, Evaluation] | None = None

    @property
    def num_samples(self) -> int:
        """Number of samples that are looked at."""
        return sum(num_samples(labels) for _, labels in self._batches.as_numpy_iterator())

    def __call__(self, model: keras.Model) -> Quality:
        if self._evaluation is None or self._evaluation[0] is not model:
            helper = self._helper
            self._evaluation = (
                model,
                Evaluation(
                    model, lambda labels, outputs, _: helper.calc_loss(labels, outputs, []), self._batches, helper.task
                ),
            )
        metrics = self._evaluation[1]()
        return Quality(metrics['loss'], metrics[self._metric.name])


def num_batches(helper: AbstractModelHelper, least_samples: int) -> int:
    """Number of evaluation batches with at least so many samples."""
    return max(1, -(-least_samples // helper.dataset.options.batch_size_eval))
