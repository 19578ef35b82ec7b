"""The search loop: ask, evaluate, record, tell; for one worker or several."""

from __future__ import annotations

import dataclasses
import math
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from absl import logging

from pocketflow.hp_optimizer.domain import Values
from pocketflow.hp_optimizer.journal import Journal, Trial, best_of, first_of
from pocketflow.hp_optimizer.optimizers.abstract import HyperParamOptimizer
from pocketflow.hp_optimizer.screening import screening_floor
from pocketflow.utils.distributed.multi_gpu_wrapper import ALONE, Workers
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.system import interrupts
from pocketflow.utils.system.progress import duration, number


@dataclasses.dataclass(frozen=True)
class TrialResult:
    """Result of an evaluation.

    Attributes:
      reward: larger is better; nan if the training diverged or was skipped.
      before: reward before tuning, such as the accuracy without fine-tuning; nan if not measured.
    """

    reward: float
    before: float = math.nan


# (candidate, floor) -> result. A candidate whose `TrialResult.before` is below the floor need not be tuned; a floor of
# -inf means that all candidates must be tuned.
Evaluate = Callable[[Values, float], TrialResult]


def search(
    optimizer: HyperParamOptimizer,
    evaluate: Evaluate,
    journal: Journal,
    num_trials: int,
    label: str = 'search',
    *,
    workers: Workers = ALONE,
    side_by_side: bool = True,
    screening: bool = False,
) -> Trial:
    """Evaluates candidates of `optimizer` until the journal holds `num_trials` trials, and returns the best.

    Trials in the journal are first told to the optimizer, which then continues as without an interruption. A repeated
    candidate is not evaluated again. A reward that is not finite is recorded as None and told as the worst so far.
    SIGTERM and SIGINT end the search between two trials, unless `evaluate` itself handles them.

    All workers call this with the same arguments, and all return the same trial. Only the primary's optimizer proposes
    candidates, and only its journal is written; the journals of the other workers hold the same trials in memory.

    Args:
      optimizer: proposes candidates and is told their rewards.
      evaluate: evaluates a candidate.
      journal: record of the trials, of the same domain.
      num_trials: total number of trials, including those in the journal.
      label: prefix of the progress lines.
      workers: the workers that evaluate candidates.
      side_by_side: whether each worker evaluates a different candidate, in rounds of as many trials as workers;
        otherwise all workers evaluate the same candidate together, and the primary's result is recorded.
      screening: whether candidates that are among the worst before tuning are left untuned; see `screening_floor`.

    Raises:
      PocketFlowError: no trial had a finite reward.
      Interrupted: any of the workers received a signal; the journal holds the finished trials.
    """
    loop = _Loop(optimizer, evaluate, journal, workers, workers.size if side_by_side else 1, screening)
    with interrupts.deferred() as requests:
        loop.begin()
        watch = _ProgressLog(label, num_trials, loop.num_together)
        while len(journal.trials) < num_trials:
            loop.stop_if_requested(requests)
            watch.report(loop.run_round(num_trials, requests), journal)
        loop.stop_if_requested(requests)
    watch.close()
    best = journal.best()
    if best is None:
        raise PocketFlowError(
            f'{label}: none of {len(journal.trials)} trials had a finite reward; lower the learning '
            'rate of the fine-tuning, or ask for less compression'
        )
    return best


def replay(optimizer: HyperParamOptimizer, journal: Journal, num_together: int = 1) -> None:
    """Tells the optimizer the journal's trials that it was not told yet; rounds have `num_together` trials."""
    for done in range(len(optimizer.rewards), len(journal.trials)):
        if done % num_together == 0:
            optimizer.expect(min(num_together, len(journal.trials) - done))
        optimizer.tell(journal.trials[done].values, finite_reward(journal.trials[: done + 1]))


def finite_reward(trials: Sequence[Trial]) -> float:
    """The reward of the last trial; if it has none, the worst of the trials before, or 0."""
    if trials[-1].reward is not None:
        return trials[-1].reward
    return min((trial.reward for trial in trials if trial.reward is not None), default=0.0)


def round_size(num_done: int, num_trials: int, num_together: int) -> int:
    """Number of trials of the next round: up to the next multiple of `num_together`, or to the end.

    >>> round_size(8, 60, 4), round_size(9, 60, 4), round_size(9, 10, 4)
    (4, 3, 1)
    """
    return min(num_together - num_done % num_together, num_trials - num_done)


@dataclasses.dataclass(frozen=True)
class _Loop:
    """The search loop of one worker. The primary proposes candidates and broadcasts them to the others.

    Attributes:
      num_together: trials per round: the number of workers, or 1 if all evaluate each trial together.
      others: as for `search`.
    """

    optimizer: HyperParamOptimizer
    evaluate: Evaluate
    journal: Journal
    workers: Workers
    num_together: int
    screening: bool

    def begin(self) -> None:
        trials = self._share_trials(lambda: self.journal.trials)
        if self.workers.is_primary:
            replay(self.optimizer, self.journal, self.num_together)
        else:
            self.journal.follow(trials)

    def _share_trials(self, make: Callable[[], Sequence[Trial]]) -> list[Trial]:
        """The primary's trials, on all workers."""
        return [Trial(**entry) for entry in self.workers.share(lambda: list(map(dataclasses.asdict, make())))]

    def stop_if_requested(self, requests: interrupts.Deferred) -> None:
        """Ends the search on all workers if any received a signal: signals may arrive in different rounds."""
        if self.workers.any(requests.signum is not None):
            raise interrupts.Interrupted(requests.signum or signal.SIGTERM)

    def run_round(self, num_trials: int, requests: interrupts.Deferred) -> list[Trial]:
        """Runs, records and tells one round of trials; returns fewer than proposed if a worker was interrupted."""
        proposed = self._share_trials(lambda: self._propose(num_trials))
        floor = self.workers.share(lambda: screening_floor(self.journal.trials) if self.screening else -math.inf)
        result = tf.constant([self._evaluate(proposed, floor, requests)], tf.float64)
        trials: list[Trial] = []
        for trial, found in zip(proposed, self.workers.gather(result).numpy().tolist(), strict=False):
            if math.isnan(found[2]):
                break
            earlier = [*self.journal.trials, *trials]
            trials.append(repeated(trial, earlier) if 'same_as' in trial.extra else measured(trial, floor, *found))
        self.journal.append(*trials)
        if self.workers.is_primary:
            replay(self.optimizer, self.journal, self.num_together)
        return trials

    def _propose(self, num_trials: int) -> list[Trial]:
        """The candidates of the next round as trials without a result."""
        done = self.journal.trials
        asked = self.optimizer.ask_many(round_size(len(done), num_trials, self.num_together))
        proposed: list[Trial] = []
        for values in asked[: num_trials - len(done)]:
            known = first_of((*done, *proposed), values)
            proposed.append(
                Trial(
                    len(done) + len(proposed) + 1,
                    values,
                    self.optimizer.domain.cost(values),
                    None,
                    0.0,
                    self.optimizer.seed,
                    {'same_as': known.number} if known else {},
                )
            )
        return proposed

    def _evaluate(self, proposed: Sequence[Trial], floor: float, requests: interrupts.Deferred) -> list[float]:
        """Reward, reward before tuning and seconds of this worker's candidate; all nan if the worker was interrupted.

        An interrupted worker must not exit here, because the others wait for its result.
        """
        place = self.workers.rank if self.num_together > 1 else 0
        if place >= len(proposed) or 'same_as' in proposed[place].extra:
            return [math.nan, math.nan, 0.0]
        begin = time.monotonic()
        try:
            result = self.evaluate(dict(proposed[place].values), floor)
        except interrupts.Interrupted as stop:
            requests.signum = stop.exit_code - 128
            return [math.nan] * 3
        return [result.reward, result.before, time.monotonic() - begin]


def measured(trial: Trial, floor: float, reward: float, before: float, seconds: float) -> Trial:
    """A trial with the result of its evaluation."""
    extra: dict[str, Any] = {'before': before} if math.isfinite(before) else {}
    if math.isnan(reward) and before < floor:
        extra['screened'] = True
    return dataclasses.replace(
        trial, reward=reward if math.isfinite(reward) else None, seconds=round(seconds, 6), extra=extra
    )


def repeated(trial: Trial, earlier: Sequence[Trial]) -> Trial:
    """A trial with the result of the earlier trial of the same candidate."""
    known = earlier[trial.extra['same_as'] - 1]
    screened = {'screened': True} if 'screened' in known.extra else {}
    return dataclasses.replace(trial, reward=known.reward, extra={**trial.extra, **screened})


class _ProgressLog:
    """Logs the progress of a search; the remaining time is estimated from the trials of this process."""

    def __init__(self, label: str, num_trials: int, num_together: int):
        self._label, self._num_trials, self._num_together = label, num_trials, num_together
        self._begin = time.monotonic()
        self._num_done, self._evaluating = 0, 0.0

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._begin

    def report(self, trials: Sequence[Trial], journal: Journal) -> None:
        """Logs one line per trial of a round; the journal already holds these trials."""
        self._num_done += len(trials)
        self._evaluating += sum(trial.seconds for trial in trials)
        for trial in trials:
            eta = duration(self._seconds / self._num_done * (self._num_trials - trial.number))
            line = progress_line(trial, best_of(journal.trials[: trial.number]), self._num_trials)
            logging.info('%s: %s ETA %s', self._label, line, eta)

    def close(self) -> None:
        """Logs the number of trials and the share of the workers' time spent evaluating."""
        if self._num_done:
            seconds = self._seconds
            logging.info(
                '%s: %d trials, %.0f s, of which %.1f %% evaluating',
                self._label,
                self._num_done,
                seconds,
                100 * self._evaluating / (seconds * self._num_together),
            )


def progress_line(trial: Trial, best: Trial | None, num_trials: int) -> str:
    """One line on a trial, for example `trial 37/200 reward 0.904 best 0.911 (#22)`."""
    reward = 'reward not finite' if trial.reward is None else f'reward {number(trial.reward)}'
    found = 'screened out' if 'screened' in trial.extra else reward
    same = f' (same as #{trial.extra["same_as"]})' if 'same_as' in trial.extra else ''
    leader = f' best {number(best.reward)} (#{best.number})' if best and best.reward is not None else ''
    return f'trial {trial.number}/{num_trials} {found}{same}{leader}'
