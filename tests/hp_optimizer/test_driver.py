"""The loop of all searches."""

from __future__ import annotations

import logging
import math
import os
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from pocketflow.hp_optimizer import Journal, Layer, SearchProblem, TrialResult, search
from pocketflow.hp_optimizer.driver import finite_reward, measured, progress_line, repeated, round_size
from pocketflow.hp_optimizer.journal import Trial
from pocketflow.hp_optimizer.optimizers import RandomOptimizer
from pocketflow.hp_optimizer.synthetic import formula, sparsity_problem
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.system.interrupts import Interrupted


def tiny_problem() -> SearchProblem:
    """Two layers of equal size, 2 bits on average: few candidates."""
    return SearchProblem([Layer(name, 1, 3, lambda value: value) for name in 'ab'], 4, integer=True)


def test_the_best_trial_is_returned_and_its_cost_kept():
    problem, reward = sparsity_problem(num_layers=4)
    journal = Journal(None, problem)
    best = search(RandomOptimizer(problem, 1), formula(reward), journal, 20)
    assert best.reward == max(trial.reward for trial in journal.trials) == reward(best.values)
    assert len(journal.trials) == 20
    assert all(trial.cost == pytest.approx(problem.budget, rel=1e-5) and trial.seed == 1 for trial in journal.trials)


def test_a_candidate_is_evaluated_once():
    problem, asked = tiny_problem(), []

    def evaluate(values: dict, floor: float) -> TrialResult:
        asked.append(tuple(values.values()))
        return TrialResult(values['a'] / 10)

    journal = Journal(None, problem)
    best = search(RandomOptimizer(problem), evaluate, journal, 25)
    assert len(asked) == len(set(asked)) < len(journal.trials) == 25
    assert best.values == {'a': 3, 'b': 1}
    repeated = [trial for trial in journal.trials if 'same_as' in trial.extra]
    assert repeated and all(trial.seconds == 0 for trial in repeated)
    for trial in repeated:
        assert trial.reward == journal.trials[trial.extra['same_as'] - 1].reward == trial.values['a'] / 10


def test_a_finished_search_only_reports(tmp_path: Path):
    problem, reward = sparsity_problem(num_layers=3)
    path = tmp_path / 'search.jsonl'
    best = search(RandomOptimizer(problem), formula(reward), Journal(path, problem), 5)
    assert search(RandomOptimizer(problem), None, Journal(path, problem), 5) == best


@pytest.mark.parametrize('signum', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_between_two_trials(signum: int, tmp_path: Path):
    problem, reward = sparsity_problem(num_layers=3)
    path = tmp_path / 'search.jsonl'
    num_calls = []

    def evaluate(values: dict, floor: float) -> TrialResult:
        num_calls.append(1)
        if len(num_calls) == 3:
            os.kill(os.getpid(), signum)
        return TrialResult(reward(values))

    with pytest.raises(Interrupted) as stop:
        search(RandomOptimizer(problem), evaluate, Journal(path, problem), 9)
    assert stop.value.exit_code == 128 + signum
    assert len(Journal(path, problem).trials) == 3
    search(RandomOptimizer(problem), evaluate, Journal(path, problem), 9)
    assert len(Journal(path, problem).trials) == len(num_calls) == 9


def test_an_evaluation_that_was_stopped_is_not_kept(tmp_path: Path):
    problem, reward = sparsity_problem(num_layers=3)
    journal = Journal(tmp_path / 'search.jsonl', problem)

    def evaluate(values: dict, floor: float) -> TrialResult:
        if len(journal.trials) == 2:
            raise Interrupted(signal.SIGINT)
        return TrialResult(reward(values))

    with pytest.raises(Interrupted) as stop:
        search(RandomOptimizer(problem), evaluate, journal, 9)
    assert stop.value.exit_code == 130
    assert len(Journal(journal.path, problem).trials) == 2


def test_a_diverged_candidate_does_not_end_the_search():
    problem, reward = sparsity_problem(num_layers=3)
    values = iter([float('nan'), 0.5, 0.4, float('inf'), 0.6])
    journal = Journal(None, problem)
    best = search(RandomOptimizer(problem), lambda *_: TrialResult(next(values), 0.3), journal, 5)
    assert [trial.reward for trial in journal.trials] == [None, 0.5, 0.4, None, 0.6]
    assert [finite_reward(journal.trials[:count]) for count in range(1, 6)] == [0, 0.5, 0.4, 0.4, 0.6]
    assert best.number == 5 and best.extra == {'before': 0.3}
    with pytest.raises(PocketFlowError, match='search: none of 2 trials had a finite reward'):
        search(RandomOptimizer(problem), lambda *_: TrialResult(float('nan')), Journal(None, problem), 2)


def test_progress_takes_one_line_per_trial(caplog: pytest.LogCaptureFixture):
    problem, reward = sparsity_problem(num_layers=3)
    with caplog.at_level(logging.INFO, logger='absl'):
        search(RandomOptimizer(problem), formula(reward), Journal(None, problem), 2, label='sparsity')
    lines = [record.getMessage() for record in caplog.records if 'trial' in record.getMessage()]
    assert len(lines) == 3
    assert re.fullmatch(r'sparsity: trial 1/2 reward 0\.\d+ best 0\.\d+ \(#1\) ETA 0:00:0\d', lines[0])
    assert re.fullmatch(r'sparsity: 2 trials, \d s, of which \d+\.\d % evaluating', lines[2])


def test_the_time_that_went_into_evaluating(caplog: pytest.LogCaptureFixture):
    problem, _ = sparsity_problem(num_layers=3)
    with caplog.at_level(logging.INFO, logger='absl'):
        search(RandomOptimizer(problem), lambda *_: time.sleep(0.1) or TrialResult(0.5), Journal(None, problem), 3)
        search(RandomOptimizer(problem), lambda *_: time.sleep(0.1) or TrialResult(0.5), Journal(None, problem), 3)
    share = float(re.search(r'of which (\S+) % evaluating', caplog.records[-1].getMessage())[1])
    assert 50 < share <= 100


def test_the_progress_line():
    best = Trial(22, {}, None, 0.911)
    assert progress_line(Trial(37, {}, None, 0.904), best, 200) == 'trial 37/200 reward 0.904 best 0.911 (#22)'
    assert progress_line(Trial(1, {}, None, None), None, 9) == 'trial 1/9 reward not finite'
    assert progress_line(Trial(38, {}, None, 0.911, extra={'same_as': 22}), best, 200) == (
        'trial 38/200 reward 0.911 (same as #22) best 0.911 (#22)'
    )
    assert progress_line(Trial(39, {}, None, None, extra={'before': 0.1, 'screened': True}), best, 200) == (
        'trial 39/200 screened out best 0.911 (#22)'
    )


def test_a_round_ends_at_a_multiple_of_its_size():
    assert [round_size(done, 10, 4) for done in (0, 4, 8)] == [4, 4, 2]
    assert [round_size(done, 12, 4) for done in (5, 7, 8)] == [3, 1, 4]
    assert [round_size(done, 3, 1) for done in range(3)] == [1, 1, 1]


@pytest.mark.parametrize(
    'found, reward, extra',
    [
        ((0.9, 0.5), 0.9, {'before': 0.5}),
        ((0.9, math.nan), 0.9, {}),
        ((0.9, 0.1), 0.9, {'before': 0.1}),
        ((math.nan, 0.1), None, {'before': 0.1, 'screened': True}),
        ((math.nan, 0.5), None, {'before': 0.5}),
        ((math.inf, 0.1), None, {'before': 0.1}),
        ((math.nan, math.nan), None, {}),
    ],
)
def test_what_a_result_means(found: tuple[float, float], reward: float | None, extra: dict):
    trial = measured(Trial(1, {'a': 2}, 7, None), 0.2, *found, 3.0)
    assert trial == Trial(1, {'a': 2}, 7, reward, 3.0, 0, extra)


def test_a_repeated_candidate_was_screened_out_if_the_first_was():
    first = Trial(1, {'a': 2}, 7, None, 3.0, 0, {'before': 0.1, 'screened': True})
    assert repeated(Trial(2, {'a': 2}, 7, None, extra={'same_as': 1}), [first]) == Trial(
        2, {'a': 2}, 7, None, 0.0, 0, {'same_as': 1, 'screened': True}
    )


def test_candidates_that_are_bad_from_the_start_are_screened_out():
    problem, reward = sparsity_problem(num_layers=3)
    floors, journal = [], Journal(None, problem)

    def evaluate(values: dict, floor: float) -> TrialResult:
        floors.append(floor)
        before = reward(values) - 0.2
        return TrialResult(math.nan if before < floor else before + 0.2, before)

    search(RandomOptimizer(problem), evaluate, journal, 40, screening=True)
    assert floors[:10] == [-math.inf] * 10
    for count in range(10, 40):
        seen = [trial.extra['before'] for trial in journal.trials[:count] if 'same_as' not in trial.extra]
        assert floors[count] == np.quantile(seen, 0.25)
    for trial, floor in zip(journal.trials, floors, strict=True):
        assert trial.extra.get('screened', False) == (trial.extra['before'] < floor) == (trial.reward is None)
    assert 2 <= sum('screened' in trial.extra for trial in journal.trials) <= 20
    floors.clear()
    search(RandomOptimizer(problem), evaluate, Journal(None, problem), 15)
    assert set(floors) == {-math.inf}
