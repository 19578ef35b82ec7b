"""Base class of learners that search for one value per layer."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import tf_keras as keras

from pocketflow.learners.abstract_learner import AbstractLearner
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
