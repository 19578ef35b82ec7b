"""Given candidates go through the loop of a search in their order."""

from __future__ import annotations

from pocketflow.hp_optimizer import Journal, TrialResult, search
from pocketflow.hp_optimizer.synthetic import sparsity_problem
from pocketflow.learners.search.enqueued_trials import EnqueuedTrials


def test_all_are_asked_once_in_order_and_the_best_is_found():
    domain, _ = sparsity_problem(num_layers=3)
    candidates = [domain.decode([x, 0.5, 1 - x]) for x in (0.1, 0.5, 0.7, 0.9)]
    optimizer = EnqueuedTrials(domain, candidates)
    assert optimizer.ask_many(3) == candidates[:3] and optimizer.ask() == candidates[0]
    rewards = iter([1.0, 3.0, 2.0, 0.0])
    best = search(optimizer, lambda values, floor: TrialResult(next(rewards)), Journal(None, domain), 4)
    assert best.values == candidates[1]
    assert optimizer.ask_many(2) == []  # none is left


def test_those_of_a_journal_are_not_asked_again():
    domain, _ = sparsity_problem(num_layers=3)
    candidates = [domain.decode([x, 0.5, 1 - x]) for x in (0.1, 0.5, 0.7)]
    journal = Journal(None, domain)
    search(EnqueuedTrials(domain, candidates), lambda values, floor: TrialResult(0.0), journal, 2)
    again = EnqueuedTrials(domain, candidates)
    evaluated = []
    search(again, lambda values, floor: evaluated.append(values) or TrialResult(1.0), journal, 3)
    assert evaluated == candidates[2:] and [trial.values for trial in journal.trials] == candidates
