"""Geometry of the charts of a search: hand-checked positions."""

from __future__ import annotations

import itertools

import pytest

from pocketflow.utils.reports.search.charts import (
    front_chart,
    history_chart,
    reward_ticks,
    staircase,
    trial_ticks,
    value_chart,
)
from pocketflow.utils.reports.search.results import Mark, drawn_trials


@pytest.mark.parametrize(
    'count, ticks',
    [
        (1, [0, 1]),
        (5, [0, 1, 2, 3, 4, 5]),
        (12, [0, 5, 10, 15]),
        (60, [0, 20, 40, 60]),
        (101, [0, 25, 50, 75, 100, 125]),
    ],
)
def test_trial_ticks_are_whole(count, ticks):
    assert trial_ticks(count) == ticks


def test_staircase_goes_sideways_first():
    assert staircase([(1, 9), (4, 7), (6, 2)]) == 'M1 9H4V7H6V2'
    assert staircase([]) == ''


def test_history_draws_every_trial_in_its_place(layer_search):
    chart = history_chart(layer_search)
    assert len(chart.dots) == 6
    gaps = {round(after.x - before.x, 1) for before, after in itertools.pairwise(chart.dots)}
    assert max(gaps) - min(gaps) < 0.3, 'equally far apart'
    one, screened, three, four, failed, repeated = chart.dots
    assert four.y < one.y < three.y == repeated.y < screened.y == failed.y == chart.lane < chart.plot.bottom
    assert chart.y_ticks[0].at < chart.lane, 'the lane is below the axis of the rewards'
    assert chart.path == f'M{one.x} {one.y}H{four.x}V{four.y}H{repeated.x}'
    assert chart.description == 'Best so far: trial 1 0.8000; trial 4 0.8500'


def test_history_names_the_verified_trials(layer_search):
    chart = history_chart(layer_search)
    assert [(note.text, note.x) for note in chart.notes] == [('1', chart.dots[0].x), ('4, winner', chart.dots[3].x)]
    assert list(chart.key) == ['winner', 'verified', 'trial', 'screened out', 'not finite']
    assert all((dot.x, dot.y) == (10, 10) for dot in chart.key.values())


def test_history_without_failures_has_no_lane(short_search):
    chart = history_chart(short_search)
    assert chart.lane is None and chart.y_ticks[0].at == chart.plot.bottom
    assert len(chart.dots) == 1 and list(chart.key) == ['winner']


def test_history_of_nothing_but_failures(screened_search):
    chart = history_chart(screened_search)
    assert {dot.mark for dot in chart.dots} == {Mark.SCREENED} and chart.path == ''
    assert chart.description == 'Best so far: none, no trial had a reward'


def test_equal_rewards_are_not_blown_up(layer_search):
    for row in layer_search['trials']:
        row['reward'] = 0.85
    ticks = reward_ticks(drawn_trials(layer_search))
    assert ticks[-1] - ticks[0] >= 0.01 and ticks[0] <= 0.85 <= ticks[-1]


def test_front_steps_over_what_is_beaten(costly_search):
    chart = front_chart(costly_search)
    cheap, beaten, good = chart.dots
    assert [dot.light for dot in chart.dots] == [False, True, False]
    assert chart.path == f'M{cheap.x} {cheap.y}H{good.x}V{good.y}'
    assert beaten.x - cheap.x == pytest.approx(good.x - beaten.x, abs=0.2), '10, 15 and 20 thousand'
    assert chart.x_title == 'cost (thousand MACs)'
    assert [tick.label for tick in chart.x_ticks] == ['10', '12', '14', '16', '18', '20']
    assert list(chart.key) == ['winner', 'verified', 'beaten']


def test_front_that_is_not_named_beats_nobody(costly_search):
    chart = front_chart({**costly_search, 'front': []})
    assert chart.path == '' and not any(dot.light for dot in chart.dots) and 'trial' in chart.key


def test_no_front_without_different_costs(layer_search, flag_search, screened_search):
    assert [front_chart(entry) for entry in (layer_search, flag_search, screened_search)] == [None] * 3


def test_values_lie_on_one_axis_from_zero(layer_search):
    chart = value_chart(layer_search)
    first, second = chart.rows
    assert chart.ticks[0].label == '0.0' and chart.ticks[-1].label == '1.0'
    width = chart.ticks[-1].at - chart.begin
    assert first.uniform == second.uniform == pytest.approx(chart.begin + 0.9 * width, abs=0.1)
    assert first.winner == pytest.approx(chart.begin + 0.83 * width, abs=0.1)
    assert (first.values, first.weights) == ('0.900 → 0.830', '4.61 k')
    assert chart.description == 'conv_1 0.900 → 0.830; conv_2 0.900 → 0.950'


def test_whole_values_are_written_as_such(layer_search):
    layer_search['layers'] = [{'layer': 'conv', 'uniform': 4, 'winner': 4, 'weights': 10}]
    assert value_chart(layer_search).rows[0].values == '4'


def test_many_layers_with_long_names_can_be_read(layer_search):
    name = 'encoder/block_1/attention/' + 40 * 'x' + '/conv_17'
    layer_search['layers'] = [
        {'layer': f'{index}_{name}', 'uniform': 4, 'winner': 8, 'weights': 1} for index in range(50)
    ]
    chart = value_chart(layer_search)
    ys = [row.y for row in chart.rows]
    assert min(after - before for before, after in itertools.pairwise(ys)) >= 15 and ys[-1] < chart.height
    assert all(len(row.label) <= 30 and row.name.endswith(name) for row in chart.rows)
    assert chart.begin > 7 * 30


def test_no_chart_of_no_layers(flag_search):
    assert value_chart(flag_search) is None
