"""Base class of learners that search for one value per layer."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tf_keras as keras

from pocketflow.learners.abstract_learner import AbstractLearner, Compressed
from pocketflow.learners.forecast import Speed
from pocketflow.learners.search.candidates import Candidates, SearchTarget
from pocketflow.learners.search.options import SearchedOptions
from pocketflow.learners.search.plan_search import EvaluateTrial, PlanSearch, SearchSettings, read_record
from pocketflow.learners.search.trial_network import TrialNetwork, Tuning, trial_helper
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.training.schedules import scaled_learning_rate
from pocketflow.utils.training.trainer import DistributedContext

MIN_LONGER_STEPS = 50
"""Least number of steps to which the factor of the longer tuning is applied."""


class SearchingLearner(AbstractLearner):
    """A learner with an optional search for its values per layer before compression."""

    options: SearchedOptions

    @abc.abstractmethod
    def candidates(self, model: keras.Model) -> Candidates:
        """The candidates for a trained model.

        Raises:
          UsageError: no candidate is within the budget.
        """

    def check_model(self, make_model: Callable[[], keras.Model]) -> None:
        """Rejects a budget that no candidate satisfies."""
        if self.options.searches:
            self.candidates(make_model())

    def search_values(self, model: keras.Model) -> dict[str, Any] | None:
        """The values found by the search, as returned by `Candidates.chosen`; None without a search."""
        if not self.options.searches:
            return None
        how, tuning = self.options.layer_search(), self._tuning()
        reward_settings = {
            'steps': tuning.num_steps,
            'longer': tuning.num_longer,
            'batches': tuning.num_eval_batches,
            'peak': tuning.peak,
        }
        settings = SearchSettings(
            how.num_rollouts, how.num_rollouts_min, how.random_layers, tuning.screening, reward_settings
        )

        def make() -> tuple[SearchTarget, EvaluateTrial]:
            candidates = self.candidates(model)
            return candidates, TrialNetwork(candidates, self._trial_helper(), tuning).evaluate

        return PlanSearch(self.context, self.name, settings).run(make)

    def predict(self, model: keras.Model) -> Compressed:
        """With a search, the compressed model with the values of the uniform candidate."""
        return self.compress(model, self.expected_values(model)) if self.options.searches else super().predict(model)

    def expected_values(self, model: keras.Model) -> dict[str, Any]:
        """The values of the uniform candidate, which is the centre of the search domain and uses the budget up."""
        candidates = self.candidates(model)
        return candidates.chosen(candidates.domain.decode(np.full(len(candidates.domain.names), 0.5)))

    def prediction_method(self) -> str:
        if self.options.searches:
            return 'the uniform candidate within the budget of the search'
        return super().prediction_method()

    def search_seconds(self, model: keras.Model, speed: Speed) -> float:
        """All trials, and the verified candidates, which are tuned longer and evaluated on all held-out samples."""
        if not self.options.searches:
            return 0.0
        how, tuning, search, helper = self.options.layer_search(), self._tuning(), self.context.search, self.helper
        num_held_out = len(helper.dataset.split_indices(enbl_trn_val_split=True)[1])
        num_evaluated = min(
            num_held_out, (tuning.num_eval_batches or math.inf) * helper.dataset.options.batch_size_eval
        )
        applied = self.apply_seconds(model, speed)
        trial = applied + tuning.num_steps * speed.step + num_evaluated * (1 + tuning.screening) * speed.image
        longer = applied + tuning.num_longer * speed.step + num_held_out * speed.image
        at_once = self.context.workers.size if search.side_by_side else 1
        return (how.num_rollouts * trial + search.num_verified * longer) / at_once

    def apply_seconds(self, model: keras.Model, speed: Speed) -> float:
        """Estimated time to convert the network of a search to one candidate."""
        return 0.0

    def search_record(self) -> dict[str, Any] | None:
        return read_record(self.context.folder)

    def _trial_helper(self) -> AbstractModelHelper:
        return trial_helper(self.training_helper(), self.context.search)

    def _tuning(self) -> Tuning:
        context, how, helper = self.context, self.options.layer_search(), self._trial_helper()
        num_workers = helper.dataset.shard.size
        peak = context.learner_options.rate_factor_finetune * scaled_learning_rate(
            helper.net.learning_rate, helper.dataset.options.batch_size * num_workers, helper.net.batch_size_norm
        )
        num_longer = context.search.verify_factor * max(how.num_steps, MIN_LONGER_STEPS)
        return Tuning(
            AbstractLearner.loss_fn(self),
            peak,
            round(how.num_steps / num_workers),
            max(1, round(num_longer / num_workers)),
            how.num_eval_batches,
            context.search.screening and how.num_steps > 0,
            context.trainer_options,
            DistributedContext() if context.search.side_by_side else DistributedContext(context.workers),
        )
