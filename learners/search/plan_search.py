"""Search for the best candidate: the search, the verification by longer tuning, and the record of both."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from absl import logging

from pocketflow.hp_optimizer import OPTIMIZERS, HyperParamOptimizer, Journal, Trial, TrialResult, pareto_front, search
from pocketflow.hp_optimizer.domain import Values
from pocketflow.learners.abstract_learner import LearnerContext
from pocketflow.learners.search.candidates import SearchTarget
from pocketflow.learners.search.enqueued_trials import EnqueuedTrials
from pocketflow.utils.reports.search.results import SHAPE, UNIFORM
from pocketflow.utils.runs import records
from pocketflow.utils.system import atomic
from pocketflow.utils.system.progress import number

JOURNAL, VERIFIED, RECORD = 'search.jsonl', 'verified.jsonl', 'search.json'
"""Files in the folder of a search: the journals of the trials and of the verification, and the result."""
RECORD_SHAPE = {**SHAPE, 'chosen': {...: object}}
REMEDY = 'delete it, and the same command makes it again from the trials in the files beside it'
POLICY, GIVEN = 'policy', 'as given'
"""Sources of verified candidates besides the trials: the agent's policy without noise, and the user's options."""

EvaluateTrial = Callable[[Values, bool, float], TrialResult]
"""(candidate, whether to tune it longer, least reward before tuning with which it is tuned) -> result."""


@dataclasses.dataclass(frozen=True)
class SearchSettings:
    """Settings of a search.

    Attributes:
      num_rollouts: number of trials, at least 1; the first is the uniform choice.
      num_rollouts_min: warm-up roll-outs of `ddpg`, limited to half of all.
      random_layers: whether `ddpg` visits the layers in a new random order in each roll-out.
      screening: whether candidates that are among the worst before tuning are left untuned.
      judged_by: what else decides a reward, for JSON, as the steps of tuning.
    """

    num_rollouts: int
    num_rollouts_min: int
    random_layers: bool = False
    screening: bool = False
    reward_settings: dict[str, Any] = dataclasses.field(default_factory=dict)


class PlanSearch:
    """Finds the best candidate; continues an interrupted search.

    Args:
      context: environment of the search; its folder receives the files.
      label: name of the searched learner or chain, for messages.
      settings: settings of the search.
    """

    def __init__(self, context: LearnerContext, label: str, settings: SearchSettings):
        self.context, self.label, self.settings = context, label, settings
        self.options = context.search

    def run(self, make: Callable[[], tuple[SearchTarget, EvaluateTrial]]) -> dict[str, Any]:
        """The chosen values of the best candidate, on all workers; read from the record of a finished search.

        Args:
          make: returns the search target and the evaluation function; only called if the search is not finished.
        """
        run, workers = self.context.run, self.context.workers
        record = workers.share(lambda: read_record(self.context.folder))
        if record is None:
            with run.timed('search'):
                record = self._searched(*make())
            if workers.is_primary:
                atomic.write_json(self.context.folder / RECORD, {**record, **self._times(record)})
        return record['chosen']

    def _times(self, record: Mapping[str, Any]) -> dict[str, float]:
        """Duration of the search, and the share of its trials."""
        run, num_workers = self.context.run, self.context.workers.size
        found = [records.read_record(path, {'seconds': float}, REMEDY) for path in run.path.glob(f'*/{RECORD}')]
        earlier = [entry['seconds'] for entry in found if entry is not None]
        seconds = max(run.seconds()['search'] - sum(earlier), 0.01)
        spent = sum(trial['seconds'] for trial in (*record['trials'], *record['verified']))
        return {
            'seconds': round(seconds, 2),
            'evaluating': min(1.0, spent / (num_workers if self.options.side_by_side else 1) / seconds),
        }

    def _searched(self, target: SearchTarget, evaluate: EvaluateTrial) -> dict[str, Any]:
        """Runs the search, and verifies the uniform choice, the best trials and the agent's policy by longer tuning."""
        optimizer, journal = self._optimizer(target), self._journal(JOURNAL, target)
        self._search(
            optimizer,
            lambda values, floor: evaluate(values, False, floor),
            journal,
            self.settings.num_rollouts,
            'search',
            self.settings.screening,
        )
        finalists = self.context.workers.share(lambda: self._finalists(target, optimizer, journal))
        verified = self._journal(VERIFIED, target)
        winner = self._search(
            EnqueuedTrials(target.domain, list(finalists.values())),
            lambda values, floor: evaluate(values, True, floor),
            verified,
            len(finalists),
            'verification',
            screening=False,
        )
        source = list(finalists)[winner.number - 1]
        if self.context.workers.is_primary:
            first = verified.trials[0].reward
            logging.info('%s: %s wins with %s; uniform: %s', self.label, source, _shown(winner.reward), _shown(first))
        return self._record(target, journal, dict(zip(finalists, verified.trials, strict=True)), source)

    def _finalists(self, target: SearchTarget, optimizer: HyperParamOptimizer, journal: Journal) -> dict[str, Values]:
        """The candidates to verify, by source."""
        found: dict[str, Values] = {UNIFORM: dict(journal.trials[0].values)}
        ranked = sorted(
            (trial for trial in journal.trials if trial.reward is not None), key=lambda trial: -(trial.reward or 0.0)
        )
        for trial in ranked:
            if len(found) <= self.options.num_verified and trial.values not in found.values():
                found[f'trial {trial.number}'] = dict(trial.values)
        own = getattr(optimizer, 'ask_deterministic', None)
        if own is not None and len(journal.trials) > self._num_warmup and own() not in found.values():
            found[POLICY] = own()
        if target.given is not None and target.given not in found.values():
            found[GIVEN] = dict(target.given)
        return found

    def _record(
        self, target: SearchTarget, journal: Journal, verified: dict[str, Trial], winner: str
    ) -> dict[str, Any]:
        """The report's entry on the search."""
        measured = [trial for trial in journal.trials if trial.reward is not None]
        front = pareto_front([(trial.cost or 0.0, trial.reward or 0.0) for trial in measured])
        uniform, best = verified[UNIFORM].values, verified[winner].values
        return {
            'learner': self.label,
            'optimizer': self.options.optimizer,
            'searched': target.searched,
            'budget': target.budget,
            'cost_unit': target.cost_unit,
            'trials': [_trial_entry(trial) for trial in journal.trials],
            'front': [measured[place].number for place in front],
            'verified': [_verified_entry(source, trial) for source, trial in verified.items()],
            'winner': winner,
            'chosen': target.chosen(dict(best)),
            'flags': {} if target.sizes else dict(best),
            'layers': [
                {'layer': name, 'uniform': uniform[name], 'winner': best[name], 'weights': size}
                for name, size in target.sizes.items()
            ],
        }

    def _search(
        self,
        optimizer: HyperParamOptimizer,
        evaluate: Callable[[Values, float], TrialResult],
        journal: Journal,
        num_trials: int,
        what: str,
        screening: bool,
    ) -> Trial:
        return search(
            optimizer,
            evaluate,
            journal,
            num_trials,
            f'{self.label}: {what}',
            workers=self.context.workers,
            side_by_side=self.options.side_by_side,
            screening=screening,
        )

    @property
    def _num_warmup(self) -> int:
        return min(self.settings.num_rollouts_min, max(1, self.settings.num_rollouts // 2))

    def _optimizer(self, target: SearchTarget) -> HyperParamOptimizer:
        name = self.options.optimizer
        more: dict[str, Any] = {}
        if name == 'ddpg':
            more = {
                'options': self.context.ddpg,
                'num_warmup': self._num_warmup,
                'enbl_random_layers': self.settings.random_layers,
            }
        return OPTIMIZERS.get(name)(target.domain, self.context.seed, self.settings.num_rollouts, **more)

    def _journal(self, name: str, target: SearchTarget) -> Journal:
        """The journal of trials with the same network, data, tuning and search method."""
        context, helper = self.context, self.context.helper
        path: Path | None = context.folder / name if context.workers.is_primary else None
        return Journal(
            path,
            target.domain,
            {
                'learner': self.label,
                'model': helper.model_name,
                'data': helper.dataset.fingerprint(),
                'optimizer': self.options.optimizer,
                **self.settings.reward_settings,
            },
        )


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a search in a stage's folder; None if there is none, or it is not finished."""
    return records.read_record(folder / RECORD, RECORD_SHAPE, REMEDY)


def _shown(reward: float | None) -> str:
    return 'none' if reward is None else number(reward)


def _trial_entry(trial: Trial) -> dict[str, Any]:
    extra = trial.extra
    return {
        'number': trial.number,
        'reward': trial.reward,
        'before': extra.get('before'),
        'cost': trial.cost,
        'screened': bool(extra.get('screened')),
        'same_as': extra.get('same_as'),
        'seconds': trial.seconds,
        'values': dict(trial.values),
    }


def _verified_entry(source: str, trial: Trial) -> dict[str, Any]:
    number_of_trial = 1 if source == UNIFORM else None if source in (POLICY, GIVEN) else int(source.split()[1])
    return {
        'source': source,
        'trial': number_of_trial,
        'reward': trial.reward,
        'cost': trial.cost,
        'seconds': trial.seconds,
        'values': dict(trial.values),
    }
