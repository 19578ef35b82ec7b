"""The numbers and words that both the page and the picture of a search are made of."""

from __future__ import annotations

import math

import pytest

from pocketflow.utils.reports.search.results import (
    Mark,
    costs_differ,
    counted,
    drawn_trials,
    front_trials,
    improvements,
    multiple,
    outcome,
    value_digits,
    value_title,
)


def test_marks_tell_what_became_of_each_trial(layer_search):
    trials = drawn_trials(layer_search)
    assert [trial.mark for trial in trials] == [
        Mark.MEASURED,
        Mark.SCREENED,
        Mark.MEASURED,
        Mark.WINNER,
        Mark.NOT_FINITE,
        Mark.MEASURED,
    ]
    assert [trial.number for trial in trials if trial.verified] == [1, 4]


def test_tips_say_everything(layer_search):
    tips = [trial.tip for trial in drawn_trials(layer_search)]
    assert tips[0] == 'trial 1: reward 0.8000, 0.4100 before tuning, 27.0 k nonzero parameters'
    assert tips[1].startswith('trial 2: screened out, 0.4100') and tips[4].startswith('trial 5: not finite')
    assert tips[5].endswith('same as trial 3')


def test_tips_leave_out_what_is_not_known(flag_search):
    flag_search['trials'][0]['before'] = None
    assert drawn_trials(flag_search)[0].tip == 'trial 1: reward 0.8000'


@pytest.mark.parametrize('reward', [math.nan, math.inf, None])
def test_rewards_that_are_not_finite_are_none(layer_search, reward):
    layer_search['trials'][2]['reward'] = reward
    trial = drawn_trials(layer_search)[2]
    assert (trial.reward, trial.mark) == (None, Mark.NOT_FINITE)


def test_a_winner_without_a_trial_marks_none(layer_search):
    layer_search['winner'] = 'policy'
    assert Mark.WINNER not in {trial.mark for trial in drawn_trials(layer_search)}


def test_only_better_trials_are_improvements(layer_search, screened_search):
    assert improvements(drawn_trials(layer_search)) == [(1, 0.80), (4, 0.85)]
    assert improvements(drawn_trials(screened_search)) == []


def test_front_is_as_named_the_cheapest_first(costly_search):
    trials = drawn_trials(costly_search)
    assert [trial.number for trial in front_trials(costly_search, trials)] == [1, 4]
    del costly_search['front']
    assert front_trials(costly_search, trials) == []


@pytest.mark.parametrize('largest, differ', [(27_100.0, False), (30_000.0, True)])
def test_costs_of_one_budget_do_not_differ(layer_search, largest, differ):
    layer_search['trials'][0]['cost'] = largest
    assert costs_differ(drawn_trials(layer_search)) is differ


def test_costs_of_trials_without_a_reward_do_not_count(layer_search, flag_search):
    layer_search['trials'][1]['cost'] = 1.0
    assert not costs_differ(drawn_trials(layer_search)) and not costs_differ(drawn_trials(flag_search))


def test_counts_add_up(layer_search, short_search):
    assert counted(layer_search) == (
        '6 trials: 4 measured, 1 screened out, 1 not finite; 1 repeated an earlier candidate'
    )
    assert counted(short_search) == '1 trial: 1 measured'


def test_outcome_is_one_line(layer_search):
    assert outcome(layer_search) == (
        'sparsity by ddpg, 6 trials in 13 min 32 s: 0.8610 (uniform) -> 0.8740 (trial 4) on the validation samples'
    )


def test_outcome_admits_that_nothing_was_found(short_search, screened_search):
    assert outcome(short_search).endswith('0.8610 (uniform) on the validation samples; nothing better was found')
    assert outcome(screened_search) == 'sparsity by ddpg, 3 trials in 13 min 32 s: no candidate was verified'


def test_outcome_without_a_uniform_candidate(layer_search):
    del layer_search['verified'][0]
    assert outcome(layer_search).endswith(': 0.8740 (trial 4) on the validation samples')


def test_units_of_axes(layer_search):
    assert value_title(layer_search) == 'sparsity (share of zeros)'
    assert value_title({'searched': 'rank'}) == 'rank'
    assert [multiple(value) for value in (999, 27_000, 5e6, 2e9)] == [
        (1.0, ''),
        (1e3, 'thousand '),
        (1e6, 'million '),
        (1e9, 'billion '),
    ]


def test_whole_values_have_no_digits():
    assert value_digits([{'uniform': 4, 'winner': 7.0}]) == 0
    assert value_digits([{'uniform': 4, 'winner': 6.5}]) == 3
