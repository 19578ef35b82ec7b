"""`--hpo_space`: search over flags of a chain of learners; each trial is a short run of the chain."""

from __future__ import annotations

import dataclasses
import functools
import gc
import itertools
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.hp_optimizer import SearchSpace, TrialResult, read_space
from pocketflow.hp_optimizer.domain import Values
from pocketflow.learners.abstract_learner import LearnerContext
from pocketflow.learners.options import LEARNERS, LearnerOptions
from pocketflow.learners.search.candidates import SearchTarget
from pocketflow.learners.search.plan_search import EvaluateTrial, PlanSearch, SearchSettings
from pocketflow.learners.search.searchable import refuse_nested, searchable, searchable_types
from pocketflow.learners.search.trial_network import trial_helper
from pocketflow.utils.distributed.gradient_compression.options import CompressionOptions
from pocketflow.utils.distributed.multi_gpu_wrapper import ALONE
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import Options, OptionsT, flag_lines
from pocketflow.utils.system.gradient_registry import forgotten_gradients
from pocketflow.utils.training.trainer import DivergedError

FOLDER = 'search'
"""Folder of the search over flags in the run directory."""


class Flags(SearchTarget):
    """The searched flags of a chain of learners, and their application to the options.

    Args:
      path: the YAML file with the space.
      learner_options: options of the chain by learner name.
      shared: options of all learners.

    Raises:
      UsageError: the file cannot be read, or has an unknown flag or invalid values.
    """

    searched = 'flags'
    domain: SearchSpace

    def __init__(self, path: str, learner_options: Mapping[str, Options], shared: LearnerOptions):
        self._learner_options, self._shared = dict(learner_options), shared
        self.domain = read_space(path, searchable_types((*learner_options.values(), shared)))
        self._check(path)
        self.given = self._given()

    def _given(self) -> Values | None:
        """The current values of the options, if they are within the space."""
        values = {
            flag: getattr(parts, field)
            for parts in (*self._learner_options.values(), self._shared)
            for flag, (field, _) in searchable(parts).items()
            if flag in self.domain.names
        }
        try:
            self.domain.encode(values)
        except UsageError:
            return None
        return values

    def _check(self, path: str) -> None:
        """Rejects ranges and choices with values that the options do not accept."""
        for place, name in enumerate(self.domain.names):
            num_shares = max(2, len(self.domain.parameters[name].choices))
            for others, share in itertools.product((0.0, 1.0), np.linspace(0, 1, num_shares)):
                point = np.full(len(self.domain.names), others)
                point[place] = share
                try:
                    refuse_nested(self.options(self.domain.decode(point))[0])
                except UsageError as error:
                    message = str(error).removeprefix('--hpo_space: ')
                    raise UsageError(f'--hpo_space={path}: holds invalid values: {message}') from None

    def options(self, values: Values) -> tuple[dict[str, Options], LearnerOptions]:
        """The learners' options and the shared options with a candidate's values."""
        return (
            {name: _replaced(parts, values) for name, parts in self._learner_options.items()},
            _replaced(self._shared, values),
        )

    def decisive_lines(self) -> list[str]:
        """The decisive lines of a flag file that are common to all candidates."""
        return flag_lines([*self._learner_options.values(), self._shared], decisive=True)


def _replaced(options: OptionsT, values: Values) -> OptionsT:
    known = searchable(options)
    return options.replace(**{known[flag][0]: value for flag, value in values.items() if flag in known})


class FlagSearch:
    """Finds the flags with the best reward of a chain of learners on the held-out samples.

    Args:
      context: environment of the stages.
      names: the chain.
      learner_options: options by learner name.
    """

    def __init__(self, context: LearnerContext, names: Sequence[str], learner_options: Mapping[str, Options]):
        self.context, self.names = context, tuple(names)
        refuse_nested(learner_options)
        assert context.search.space is not None, 'flags are searched if there is a space'
        self.flags = Flags(
            context.search.space, {name: learner_options[name] for name in names}, context.learner_options
        )

    def run(self, model: keras.Model) -> tuple[dict[str, Options], LearnerOptions]:
        """Runs the search, or the rest of an interrupted one; returns the options with the best values."""
        search = self.context.search
        settings = SearchSettings(
            search.num_trials,
            max(1, search.num_trials // 4),
            reward_settings={
                'epochs': search.num_epochs,
                'longer': search.verify_factor,
                'options': self.flags.decisive_lines(),
            },
        )
        context = dataclasses.replace(self.context, folder=self.context.run / FOLDER)
        chosen = PlanSearch(context, ','.join(self.names), settings).run(lambda: (self.flags, self.evaluator(model)))
        return self.flags.options(chosen)

    def evaluator(self, model: keras.Model) -> EvaluateTrial:
        """The function that evaluates trials, which all start from `model`."""
        context = self.context
        helper = trial_helper(context.helper, context.search)
        workers = ALONE if context.search.side_by_side else context.workers
        trial = dataclasses.replace(context, helper=helper, workers=workers, log=None, compression=CompressionOptions())

        @functools.cache
        def held_out() -> tf.data.Dataset:
            return helper.build_dataset_train(enbl_trn_val_split=True)[1]

        def evaluate_trial(values: Values, longer: bool, floor: float) -> TrialResult:
            gc.collect()  # networks and their graphs are reference cycles, which would accumulate over the trials
            learner_options, shared = self.flags.options(values)
            num_epochs = context.search.num_epochs * (context.search.verify_factor if longer else 1)
            short, trained = dataclasses.replace(trial, learner_options=shared, num_epochs=num_epochs), model
            with forgotten_gradients():
                try:
                    for name in self.names:
                        trained = self._try_out(name, short, learner_options[name], trained)
                except DivergedError:
                    return TrialResult(math.nan)
                primary = helper.task.primary
                return TrialResult(primary.quality(helper.evaluate(trained, held_out())[primary.name]))

        return evaluate_trial

    @staticmethod
    def _try_out(name: str, context: LearnerContext, options: Options, model: keras.Model) -> keras.Model:
        with tempfile.TemporaryDirectory() as folder:
            return LEARNERS.get(name)(dataclasses.replace(context, folder=Path(folder)), options).try_out(model)
