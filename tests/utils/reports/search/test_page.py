"""What the page says of a search; how it stands on the page is tested with the page."""

from __future__ import annotations

import pytest

from pocketflow.utils.reports.search.page import flag_value, search_section, searches
from pocketflow.utils.tasks.task_record import FORMER_TASK


def test_reports_without_searches():
    report = {'task': FORMER_TASK}
    assert searches(report) == [] and searches({**report, 'searches': []}) == []


def test_facts_of_a_budget(layer_search):
    counts, budget, time, costs = search_section(layer_search).facts
    assert counts.startswith('6 trials: ')
    assert budget == 'Every candidate keeps the budget: a sparsity of 0.900.'
    assert time == '98.70 % of the time went into evaluating candidates.'
    assert 'as each uses the whole budget: there is no trade-off' in costs


def test_facts_where_costs_differ_or_are_not_known(costly_search, flag_search):
    for entry in (costly_search, flag_search):
        assert not [words for words in search_section(entry).facts if 'trade-off' in words or 'budget' in words]


def test_equal_costs_without_a_budget(layer_search):
    layer_search['budget'] = None
    last = search_section(layer_search).facts[-1]
    assert last.startswith('The costs of all candidates lie within 2 % of each other:')


def test_verified_candidates_side_by_side(layer_search):
    uniform, best, policy = search_section(layer_search).verified
    assert (uniform.in_search, uniform.reward, uniform.change, uniform.wins) == ('0.8000', '0.8610', '', False)
    assert (best.source, best.change, best.cost, best.wins) == ('trial 4', '+1.30 points', '27,000', True)
    assert (policy.in_search, policy.change) == ('–', '+0.70 points')


def test_verified_candidate_without_a_figure(layer_search):
    layer_search['verified'][2].update(reward=None, cost=None)
    policy = search_section(layer_search).verified[2]
    assert (policy.reward, policy.change, policy.cost) == ('–', '', '–')


def test_flags_have_the_winner_first(flag_search):
    section = search_section(flag_search)
    assert section.flag_columns == ['trial 2 (winner)', 'uniform']
    assert section.flags == {
        'ws_prune_ratio_exp': ['2.718', '3'],
        'ws_prune_ratio_prtl': ['heurist', 'uniform'],
        'num_steps': ['20', '–'],
    }
    assert section.values is None and section.front is None


def test_layers_have_no_flags(layer_search):
    assert (search_section(layer_search).flags, search_section(layer_search).flag_columns) == ({}, [])


@pytest.mark.parametrize('value, text', [(1e-5, '1e-05'), (True, 'True'), (3, '3'), (None, '–'), ('tpe', 'tpe')])
def test_values_of_flags(value, text):
    assert flag_value(value) == text
