"""Charts and table of sensitivity curves."""

from __future__ import annotations

import copy

import pytest

from pocketflow.utils.reports.curves import MOST_CHARTS, SHAPE, curve_sections, curves_section
from pocketflow.utils.reports.page import page_environment
from pocketflow.utils.runs.records import mismatches
from pocketflow.utils.tasks.metric import ACCURACY

ENTRY = {
    'learner': 'chn-pruned-rmt',
    'selector': 'lasso',
    'method': 'program',
    'cost_unit': 'multiply-adds',
    'budget': 500.0,
    'cost': [1000, 490],
    'seconds': 12.0,
    'num_images': 1000,
    'metric': ACCURACY.to_json(),
    'whole': {'loss': 0.4, 'metric': 0.9},
    'groups': [
        {
            'layers': ['conv1', 'conv<2>'],
            'size': 8,
            'chosen': 6,
            'points': [{'kept': 2, 'loss': 2.0, 'metric': 0.5}, {'kept': 4, 'loss': 1.0, 'metric': 0.7}],
        },
        {'layers': ['head'], 'size': 4, 'chosen': 4, 'points': [{'kept': 2, 'loss': 0.5, 'metric': 0.89}]},
    ],
}


def test_the_entry_has_its_shape():
    assert not list(mismatches(ENTRY, SHAPE))


def test_reports_without_curves_have_no_section():
    assert curve_sections({}) == curve_sections({'curves': []}) == []


def test_words_and_table():
    (section,) = curve_sections({'curves': [ENTRY]})
    assert section.outcome == 'program: 1.00 k → 490 multiply-adds (49.0%; budget 50.0%)'
    assert section.facts.startswith('2 groups of layers, channels ranked by lasso;') and '90.00 %' in section.facts
    assert section.shares == ['25%', '50%']
    first, second = section.rows
    assert (first.layers, first.chosen, first.share) == ('conv1, conv<2>', '6 of 8', '75.0%')
    assert [*first.values] == ['50.00 %', '70.00 %'] and [*second.values] == ['–', '89.00 %']


def test_positions_by_hand():
    section = curves_section(ENTRY)
    panel = section.panels[0]
    assert (panel.label, panel.more) == ('conv1', 1)
    left, right = panel.plot.left, panel.plot.right
    places = [(x, y) for x, y, _ in panel.dots]
    assert [x for x, _ in places] == pytest.approx([left + share * (right - left) for share in (0.25, 0.5, 1.0)])
    # The axis goes from 50 to 90 %; the chosen share, 0.75, lies between the points of 70 and 90 %.
    assert places[0][1] == panel.plot.bottom and places[2][1] == panel.plot.top
    assert panel.chosen == pytest.approx((left + 0.75 * (right - left), (places[1][1] + places[2][1]) / 2), abs=0.1)
    assert panel.dots[0][2] == '2 of 8 channels: 50.00 %, loss 2'


def test_only_the_most_sensitive_groups_are_drawn():
    entry = copy.deepcopy(ENTRY)
    entry['groups'] += [{**ENTRY['groups'][1], 'layers': [f'more{index}']} for index in range(MOST_CHARTS)]
    section = curves_section(entry)
    assert len(section.panels) == MOST_CHARTS and section.panels[0].name == 'conv1'
    assert len(section.rows) == MOST_CHARTS + 2 and f'the {MOST_CHARTS} most sensitive of them' in section.facts


def test_the_template_escapes_names_and_marks_the_chosen_points():
    page = page_environment().get_template('curves.html').module.curves_section(curves_section(ENTRY), 1)
    assert 'conv&lt;2&gt;' in page and 'conv<2>' not in page
    assert page.count('dot winner') == 1 + 2 and page.count('class="best"') == 2
