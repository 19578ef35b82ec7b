"""The loop of all searches, with several workers: threads that exchange what they have."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from pocketflow.hp_optimizer import Journal, Layer, SearchProblem, Trial, TrialResult, search
from pocketflow.hp_optimizer.domain import Domain, Values
from pocketflow.hp_optimizer.optimizers import RandomOptimizer
from pocketflow.hp_optimizer.synthetic import sparsity_problem
from pocketflow.utils.distributed.multi_gpu_wrapper import Workers
from pocketflow.utils.distributed.values import pack, unpack
from pocketflow.utils.system import interrupts
from pocketflow.utils.system.interrupts import Deferred, Interrupted

PROBLEM, REWARD = sparsity_problem(num_layers=3)


class Threads(Workers):
    """One of several workers that meet at a barrier; `table` is what each has brought."""

    def __init__(self, rank: int, table: list[Any], barrier: threading.Barrier):
        self.rank = self.local_rank = rank
        self.size = self.local_size = len(table)
        self._table, self._barrier = table, barrier
        self.requests = Deferred()

    def _all(self, brought: Any) -> list[Any]:
        self._table[self.rank] = brought
        self._barrier.wait()
        everything = list(self._table)
        self._barrier.wait()
        return everything

    def average(self, tensors: Sequence[tf.Tensor], half: bool = False) -> list[tf.Tensor]:
        return [tf.add_n(parts) / self.size for parts in zip(*self._all(tensors), strict=True)]

    def gather(self, tensor: tf.Tensor) -> tf.Tensor:
        return tf.concat(self._all(tensor), 0)

    def exchange(self, tensor: tf.Tensor) -> tf.Tensor:
        raise NotImplementedError

    def broadcast(self, variables: Sequence[tf.Variable]) -> None:
        raise NotImplementedError

    def share(self, make: Callable[[], Any]) -> Any:
        return unpack(self._all(pack(make()) if self.is_primary else b'')[0])


Evaluate = Callable[[Threads, Values, float], TrialResult]


@dataclasses.dataclass
class Job:
    """A search by `size` workers, and what each of them has seen.

    Attributes:
      best: what each of them got, or the exception that ended it.
      evaluated: each worker's candidates and floors.
    """

    size: int
    domain: Domain = PROBLEM
    evaluate: Evaluate = lambda worker, values, floor: TrialResult(REWARD(values), 0.1)
    best: list[Trial | BaseException] = dataclasses.field(default_factory=list)
    evaluated: list[list[tuple[Values, float]]] = dataclasses.field(default_factory=list)
    journals: list[Journal] = dataclasses.field(default_factory=list)

    def run(self, path: Path, num_trials: int, **settings: bool) -> Job:
        """The primary writes to `path`; the others must not, and their optimizers must not be asked."""
        barrier, table = threading.Barrier(self.size, timeout=60), [None] * self.size
        self.evaluated = [[] for _ in range(self.size)]
        self.journals = [
            Journal(path if rank == 0 else path.with_suffix('.other'), self.domain) for rank in range(self.size)
        ]
        distributed = [Threads(rank, table, barrier) for rank in range(self.size)]
        with ThreadPoolExecutor(self.size) as pool:
            self.best = list(pool.map(lambda worker: self._search(worker, num_trials, settings), distributed))
        assert not path.with_suffix('.other').exists()
        assert all(
            journal.trials == self.journals[0].trials == Journal(path, self.domain).trials for journal in self.journals
        )
        return self

    def _search(self, worker: Threads, num_trials: int, settings: dict[str, bool]) -> Trial | BaseException:
        def evaluate(values: Values, floor: float) -> TrialResult:
            self.evaluated[worker.rank].append((values, floor))
            return self.evaluate(worker, values, floor)

        optimizer = RandomOptimizer(self.domain, 1) if worker.is_primary else None
        LOCAL.requests = worker.requests
        try:
            return search(optimizer, evaluate, self.journals[worker.rank], num_trials, workers=worker, **settings)
        except BaseException as error:
            if not isinstance(error, Interrupted):
                worker._barrier.abort()
            return error

    @property
    def trials(self) -> list[Trial]:
        return self.journals[0].trials


LOCAL = threading.local()


@pytest.fixture(autouse=True)
def signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the main thread of a process can have handlers of signals."""

    @contextlib.contextmanager
    def deferred() -> Iterator[Deferred]:
        yield LOCAL.requests

    monkeypatch.setattr(interrupts, 'deferred', deferred)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'search.jsonl'


def asked(count: int) -> list[Values]:
    """What a random search asks, which does not depend on rewards."""
    return RandomOptimizer(PROBLEM, 1).ask_many(count)


def test_each_evaluates_the_candidate_of_its_rank(path: Path):
    job = Job(3).run(path, 8)
    assert [trial.values for trial in job.trials] == asked(8)
    assert [[values for values, _ in part] for part in job.evaluated] == [asked(8)[rank::3] for rank in range(3)]
    assert {floor for part in job.evaluated for _, floor in part} == {-math.inf}
    assert job.best == [max(job.trials, key=lambda trial: trial.reward)] * 3
    for trial in job.trials:
        assert trial.reward == REWARD(trial.values) and trial.extra == {'before': 0.1} and trial.seconds > 0
        assert trial.cost == pytest.approx(PROBLEM.budget, rel=1e-5) and trial.seed == 1


def test_all_evaluate_the_same_and_the_primary_counts(path: Path):
    job = Job(2, evaluate=lambda worker, values, floor: TrialResult(worker.rank + REWARD(values))).run(
        path, 5, side_by_side=False
    )
    assert job.evaluated[0] == job.evaluated[1] == [(values, -math.inf) for values in asked(5)]
    assert [trial.reward for trial in job.trials] == [REWARD(values) for values in asked(5)]


@pytest.mark.parametrize('num_before', [2, 3, 4])
def test_old_trials_are_those_of_the_primary(path: Path, num_before: int):
    Job(2).run(path, num_before)
    job = Job(2).run(path, 7)
    assert [trial.values for trial in job.trials] == asked(7)
    assert sum(len(part) for part in job.evaluated) == 7 - num_before


def test_a_candidate_is_evaluated_once_also_within_a_round(path: Path):
    tiny = SearchProblem([Layer(name, 1, 3, lambda value: value) for name in 'ab'], 4, integer=True)
    job = Job(4, tiny, lambda worker, values, floor: TrialResult(values['a'] / 10)).run(path, 18)
    evaluated = [tuple(values.values()) for part in job.evaluated for values, _ in part]
    assert len(evaluated) == len(set(evaluated)) == 3
    repeated = [trial for trial in job.trials if 'same_as' in trial.extra]
    assert len(repeated) == 15 and any(
        (trial.number - 1) // 4 == (trial.extra['same_as'] - 1) // 4 for trial in repeated
    )
    assert all(trial.reward == trial.values['a'] / 10 for trial in job.trials)
    assert all(trial.seconds == 0 for trial in repeated)


def test_all_have_the_same_floor(path: Path):
    job = Job(
        3,
        evaluate=lambda worker, values, floor: TrialResult(
            math.nan if REWARD(values) < floor else REWARD(values), REWARD(values)
        ),
    ).run(path, 30, screening=True)
    floors = [[floor for _, floor in part] for part in job.evaluated]
    assert floors[0] == floors[1] == floors[2] and floors[0][4:] > [0.0] * 6
    screened = [trial for trial in job.trials if 'screened' in trial.extra]
    assert screened and all(
        trial.reward is None and trial.extra['before'] < floors[0][(trial.number - 1) // 3] for trial in screened
    )


def test_a_signal_to_one_ends_all_after_the_round(path: Path):
    def evaluate(worker: Threads, values: Values, floor: float) -> TrialResult:
        if worker.rank == 1 and values == asked(4)[3]:
            worker.requests.signum = signal.SIGINT
        return TrialResult(REWARD(values))

    job = Job(2, evaluate=evaluate).run(path, 8)
    assert [stop.exit_code for stop in job.best] == [143, 130]
    assert len(job.trials) == 4


def test_an_evaluation_that_was_stopped_does_not_keep_the_others_waiting(path: Path):
    def evaluate(worker: Threads, values: Values, floor: float) -> TrialResult:
        if worker.rank == 1 and values == asked(5)[4]:
            raise Interrupted(signal.SIGTERM)
        return TrialResult(REWARD(values))

    job = Job(3, evaluate=evaluate).run(path, 9)
    assert [stop.exit_code for stop in job.best] == [143, 143, 143]
    assert [trial.values for trial in job.trials] == asked(4)  # worker 2 had finished the sixth, which is lost
    again = Job(3).run(path, 9)
    assert [trial.values for trial in again.trials] == asked(9)
