"""Geometry of the report's charts: hand-checked positions, and labels that can be read."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketflow.utils.reports import number_format as figures
from pocketflow.utils.reports.charts import (
    Box,
    Point,
    decimals,
    layer_chart,
    nice_step,
    place_labels,
    scatter,
    shortened,
    ticks_between,
)
from pocketflow.utils.tasks.metric import ACCURACY


@pytest.mark.parametrize(
    'span, intervals, step',
    [(10, 5, 2), (10, 4, 2.5), (11, 5, 2.5), (13, 5, 5), (0.1, 5, 0.02), (26, 5, 10), (1000, 5, 200)],
)
def test_nice_step(span, intervals, step):
    assert nice_step(span, intervals) == pytest.approx(step)


@given(st.floats(1e-6, 1e9), st.integers(1, 10))
def test_nice_steps_cover_the_span(span, intervals):
    assert nice_step(span, intervals) * intervals >= span * (1 - 1e-6)


def test_ticks_enclose_the_values():
    assert ticks_between(85.97, 87.23, 5) == [85.5, 86, 86.5, 87, 87.5]
    assert ticks_between(0, 1.9, 5) == [0, 0.5, 1, 1.5, 2]


@pytest.mark.parametrize('values, digits', [([0, 1, 2], 0), ([0, 0.5], 1), ([0, 0.25, 0.5], 2)])
def test_decimals_are_just_enough(values, digits):
    assert decimals(values) == digits


def chart_of(*points):
    return scatter(points, 'title', 'size', figures.byte_unit, ACCURACY)


def test_scatter_puts_points_between_the_ticks():
    chart = chart_of(Point('big', 2_000_000, 0.9, uncompressed=True), Point('small', 1_000_000, 0.8))
    big, small = chart.markers
    assert [tick.label for tick in chart.x_ticks] == ['0.0', '0.5', '1.0', '1.5', '2.0', '2.5']
    assert big.x - chart.plot.left == pytest.approx(2 * (small.x - chart.plot.left), abs=0.2)
    assert small.x == pytest.approx(chart.x_ticks[2].at)
    assert big.y < small.y, 'more accurate is further up'
    assert (big.uncompressed, small.uncompressed) == (True, False)
    assert chart.x_title == 'size (MB)'
    assert chart.description == 'big: 2 MB, 90.00 %; small: 1 MB, 80.00 %'


def test_equal_accuracies_are_not_blown_up():
    labels = [float(tick.label) for tick in chart_of(Point('a', 10, 0.5), Point('b', 20, 0.5001)).y_ticks]
    assert max(labels) - min(labels) >= 1


def test_accuracy_axis_ends_at_100_percent():
    assert chart_of(Point('perfect', 10, 1.0)).y_ticks[-1].label == '100.0'


def test_points_without_figures_are_left_out():
    chart = chart_of(Point('good', 10, 0.5), Point('blind', 10, math.nan), Point('endless', math.inf, 0.5))
    assert [marker.name for marker in chart.markers] == ['good']


def test_no_points_at_all_are_an_empty_chart():
    assert chart_of().markers == []


PLOT = Box(0, 0, 500, 300)


def boxes(places, names):
    for label, name in zip(place_labels(places, names, PLOT), names, strict=True):
        left = label.x - {'start': 0, 'middle': 0.5, 'end': 1}[label.anchor] * 7 * len(name)
        yield Box(left, label.y - 10, left + 7 * len(name), label.y + 3)


@pytest.mark.parametrize(
    'places',
    [
        [(250, 150)] * 6,
        [(495, 150), (490, 152), (485, 148), (480, 150)],
        [(250, 295), (252, 297), (254, 296)],
        [(3, 4), (6, 4), (3, 9)],
    ],
)
def test_labels_of_crowded_points_stay_apart_and_inside(places):
    found = list(boxes(places, [f'float{index}' for index in range(len(places))]))
    assert not [pair for pair in itertools.combinations(found, 2) if pair[0].overlaps(pair[1])]
    assert all(box.inside(PLOT) for box in found)


def test_a_lonely_label_stands_right_of_its_point():
    (label,) = place_labels([(100, 100)], ['float32'], PLOT)
    assert (label.anchor, label.displaced) == ('start', False)
    assert label.x > 100


def test_label_at_the_right_edge_stands_left_of_its_point():
    (label,) = place_labels([(495, 100)], ['float32'], PLOT)
    assert label.anchor == 'end'


ROWS = [
    {'layer': 'stem', 'inputs': [3, 3], 'macs': [400, 200]},
    {'layer': 'conv', 'inputs': [16, 8], 'macs': [1000, 0]},
    {'layer': 'dense', 'macs': [1, 1]},
]


def test_bars_are_to_one_scale():
    stem, conv, dense = layer_chart(ROWS).rows
    assert conv.before == pytest.approx(2.5 * stem.before, abs=0.1)
    assert stem.before == pytest.approx(2 * stem.after, abs=0.1)
    assert conv.after == 0
    assert dense.after == 1, 'what is left can be seen, however little it is'


def test_layers_say_what_is_kept():
    rows = layer_chart(ROWS).rows
    assert [row.kept for row in rows] == ['3 of 3', '8 of 16', '']
    assert [row.macs for row in rows] == ['400 → 200', '1.00 k → 0', '1']


def test_layer_chart_is_as_high_as_its_rows():
    chart = layer_chart(ROWS * 30)
    assert chart.rows[-1].top + 16 < chart.height
    assert len({row.top for row in chart.rows}) == 90


def test_long_layer_names_lose_their_middle():
    name = 'encoder/block_1/attention/' + 'x' * 40 + '/conv_17'
    assert shortened(name, 30).startswith('encoder/block')
    assert shortened(name, 30).endswith('conv_17')
    assert len(shortened(name, 30)) <= 30
    assert layer_chart([{'layer': name, 'macs': [1, 1]}]).rows[0].name == name
