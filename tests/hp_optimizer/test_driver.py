"""The loop of all searches."""

from __future__ import annotations

import logging
import os
import re
import signal
from pathlib import Path

import pytest

from hp_optimizer import Journal, Layer, SearchProblem, search
from hp_optimizer.driver import progress_line, told_reward
from hp_optimizer.journal import Trial
from hp_optimizer.optimizers import RandomOptimizer
from hp_optimizer.synthetic import sparsity_problem
from utils.errors import PocketFlowError
from utils.interrupts import Interrupted


def tiny_problem() -> SearchProblem:
    """Two layers of equal size, 2 bits on average: few candidates."""
    return SearchProblem([Layer(name, 1, 3, lambda value: value) for name in 'ab'], 4, integer=True)


def test_the_best_trial_is_returned_and_its_cost_kept():
    problem, reward = sparsity_problem(nb_layers=4)
    journal = Journal(None, problem)
    best = search(RandomOptimizer(problem, 1), reward, journal, 20)
    assert best.reward == max(trial.reward for trial in journal.trials) == reward(best.values)
    assert len(journal.trials) == 20
    assert all(trial.cost == pytest.approx(problem.budget, rel=1e-5) and trial.seed == 1 for trial in journal.trials)


def test_a_candidate_is_evaluated_once():
    problem, asked = tiny_problem(), []

    def evaluate(values: dict) -> float:
        asked.append(tuple(values.values()))
        return values['a'] / 10

    journal = Journal(None, problem)
    best = search(RandomOptimizer(problem), evaluate, journal, 25)
    assert len(asked) == len(set(asked)) < len(journal.trials) == 25
    assert best.values == {'a': 3, 'b': 1}
    repeated = [trial for trial in journal.trials if 'same_as' in trial.extra]
    assert repeated and all(trial.seconds == 0 for trial in repeated)
    for trial in repeated:
        assert trial.reward == journal.trials[trial.extra['same_as'] - 1].reward == trial.values['a'] / 10


def test_a_finished_search_only_reports(tmp_path: Path):
    problem, reward = sparsity_problem(nb_layers=3)
    path = tmp_path / 'search.jsonl'
    best = search(RandomOptimizer(problem), reward, Journal(path, problem), 5)
    assert search(RandomOptimizer(problem), None, Journal(path, problem), 5) == best


@pytest.mark.parametrize('signum', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_between_two_trials(signum: int, tmp_path: Path):
    problem, reward = sparsity_problem(nb_layers=3)
    path = tmp_path / 'search.jsonl'
    nb_calls = []

    def evaluate(values: dict) -> float:
        nb_calls.append(1)
        if len(nb_calls) == 3:
            os.kill(os.getpid(), signum)
        return reward(values)

    with pytest.raises(Interrupted) as stop:
        search(RandomOptimizer(problem), evaluate, Journal(path, problem), 9)
    assert stop.value.exit_code == 128 + signum
    assert len(Journal(path, problem).trials) == 3
    search(RandomOptimizer(problem), evaluate, Journal(path, problem), 9)
    assert len(Journal(path, problem).trials) == len(nb_calls) == 9


def test_a_diverged_candidate_does_not_end_the_search():
    problem, reward = sparsity_problem(nb_layers=3)
    values = iter([float('nan'), 0.5, 0.4, float('inf'), 0.6])
    journal = Journal(None, problem)
    best = search(RandomOptimizer(problem), lambda _: (next(values), {'note': 'x'}), journal, 5)
    assert [trial.reward for trial in journal.trials] == [None, 0.5, 0.4, None, 0.6]
    assert [told_reward(journal.trials[:count]) for count in range(1, 6)] == [0, 0.5, 0.4, 0.4, 0.6]
    assert best.number == 5 and best.extra == {'note': 'x'}
    with pytest.raises(PocketFlowError, match='search: none of 2 trials had a finite reward'):
        search(RandomOptimizer(problem), lambda _: float('nan'), Journal(None, problem), 2)


def test_progress_takes_one_line_per_trial(caplog: pytest.LogCaptureFixture):
    problem, reward = sparsity_problem(nb_layers=3)
    with caplog.at_level(logging.INFO, logger='absl'):
        search(RandomOptimizer(problem), reward, Journal(None, problem), 2, label='sparsity')
    lines = [record.getMessage() for record in caplog.records if 'trial' in record.getMessage()]
    assert len(lines) == 2
    assert re.fullmatch(r'sparsity: trial 1/2 reward 0\.\d+ best 0\.\d+ \(#1\) ETA 0:00:0\d', lines[0])


def test_the_progress_line():
    best = Trial(22, {}, None, 0.911)
    assert progress_line(Trial(37, {}, None, 0.904), best, 200) == 'trial 37/200 reward 0.904 best 0.911 (#22)'
    assert progress_line(Trial(1, {}, None, None), None, 9) == 'trial 1/9 reward not finite'
    assert progress_line(Trial(38, {}, None, 0.911, extra={'same_as': 22}), best, 200) == (
        'trial 38/200 reward 0.911 (same as #22) best 0.911 (#22)')
