"""The one loop of all searches: ask, evaluate, keep, tell."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from absl import logging

from hp_optimizer.domain import Value, Values
from hp_optimizer.journal import Journal, Trial
from hp_optimizer.optimizers.abstract import HyperParamOptimizer
from utils import interrupts
from utils.errors import PocketFlowError
from utils.progress import duration, number

# Values -> reward, or (reward, what else is worth keeping).
Evaluate = Callable[[Values], float | tuple[float, Mapping[str, Any]]]


def search(optimizer: HyperParamOptimizer, evaluate: Evaluate, journal: Journal, nb_trials: int,
           label: str = 'search') -> Trial:
    """Evaluates candidates of `optimizer` until the journal holds `nb_trials` trials, and returns the best.

    Trials that the journal holds already are told to the optimizer, which then continues as if it had never stopped.
    A candidate that was evaluated before is not evaluated again: its reward is known. A reward that is not finite is
    kept as None and told as the worst so far. SIGTERM and SIGINT end the search between two trials, unless `evaluate`
    itself stops for them.

    Raises:
      PocketFlowError: no trial at all had a finite reward.
      Interrupted: a signal came; the journal holds all finished trials.
    """
    replay(optimizer, journal)
    watch = _Watch(label, nb_trials)
    with interrupts.deferred() as requests:
        while len(journal.trials) < nb_trials:
            requests.raise_if_requested()
            trial = _next_trial(optimizer, evaluate, journal)
            journal.append(trial)
            optimizer.tell(trial.values, told_reward(journal.trials))
            watch.report(trial, journal)
        requests.raise_if_requested()
    best = journal.best()
    if best is None:
        raise PocketFlowError(f'{label}: none of {len(journal.trials)} trials had a finite reward; lower the learning '
                              'rate of the fine-tuning, or ask for less compression')
    return best


def replay(optimizer: HyperParamOptimizer, journal: Journal) -> None:
    """Tells the optimizer what the journal holds and it does not know yet."""
    for count in range(len(optimizer.rewards) + 1, len(journal.trials) + 1):
        optimizer.tell(journal.trials[count - 1].values, told_reward(journal.trials[:count]))


def told_reward(trials: list[Trial]) -> float:
    """The reward of the last trial; where it has none, the worst of those before, or 0."""
    if trials[-1].reward is not None:
        return trials[-1].reward
    return min((trial.reward for trial in trials if trial.reward is not None), default=0.0)


def _next_trial(optimizer: HyperParamOptimizer, evaluate: Evaluate, journal: Journal) -> Trial:
    values = optimizer.ask()
    known = journal.find(values)
    begin = time.monotonic()
    reward, extra = (known.reward, {'same_as': known.number}) if known else _evaluated(evaluate, values)
    seconds = 0.0 if known else time.monotonic() - begin
    return Trial(len(journal.trials) + 1, values, optimizer.domain.cost(values), reward, round(seconds, 6),
                 optimizer.seed, extra)


def _evaluated(evaluate: Evaluate, values: Mapping[str, Value]) -> tuple[float | None, dict[str, Any]]:
    result = evaluate(dict(values))
    reward, extra = result if isinstance(result, tuple) else (result, {})
    return (float(reward) if math.isfinite(reward) else None), dict(extra)


class _Watch:
    """Says how far a search is; the time still needed comes from the trials of this process."""

    def __init__(self, label: str, nb_trials: int):
        self._label, self._nb_trials = label, nb_trials
        self._begin, self._nb_done = time.monotonic(), 0

    def report(self, trial: Trial, journal: Journal) -> None:
        self._nb_done += 1
        to_come = self._nb_trials - trial.number
        eta = duration((time.monotonic() - self._begin) / self._nb_done * to_come)
        logging.info('%s: %s ETA %s', self._label, progress_line(trial, journal.best(), self._nb_trials), eta)


def progress_line(trial: Trial, best: Trial | None, nb_trials: int) -> str:
    """As in `trial 37/200 reward 0.904 best 0.911 (#22)`."""
    reward = 'not finite' if trial.reward is None else number(trial.reward)
    same = f' (same as #{trial.extra["same_as"]})' if 'same_as' in trial.extra else ''
    leader = f' best {number(best.reward)} (#{best.number})' if best else ''
    return f'trial {trial.number}/{nb_trials} reward {reward}{same}{leader}'
