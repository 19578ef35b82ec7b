"""The table of layers as it is printed, and that of a chain of learners."""

from __future__ import annotations

from pocketflow.utils.reports.layer_table import chained_rows, format_rows
from tests.utils.reports.test_layer_rows import rows


def test_table_as_it_is_printed():
    table = rows({'conv2': (0, 2, 3)}, {'conv1': 'first convolution', 'logits': 'cpr_dense_layers=hidden'})
    del table[2]['inputs'], table[2]['outputs']  # a layer whose channels nobody counted
    assert (
        format_rows(table)
        == """\
layer   inputs    outputs   MACs            parameters    note
conv1   1 of 1    3 of 8    1,152 -> 432    80 -> 30      inputs kept: first convolution
conv2   3 of 8    6 of 6    6,912 -> 2,592  438 -> 168
hidden                      480             500
logits  20 of 20  10 of 10  200             210           skipped because: cpr_dense_layers=hidden
total                       8,744 -> 3,704  1,228 -> 908  42.4 % of the MACs left"""
    )


def test_one_table_for_several_learners():
    first, second = rows({'conv2': (0, 2, 3)}), rows({'conv2': (0,)})
    second[1].update(inputs=[3, 1], macs=[2592, 864], parameters=[168, 60], note='again')
    second.append({'layer': 'added', 'type': 'Dense', 'macs': [0, 5], 'parameters': [0, 6], 'note': ''})
    table = {row['layer']: row for row in chained_rows([(), first, (), second])}
    assert list(table) == ['conv1', 'conv2', 'hidden', 'logits', 'added']
    assert table['conv2'] == {
        'layer': 'conv2',
        'type': 'Conv2D',
        'inputs': [8, 1],
        'outputs': [6, 6],
        'macs': [6912, 864],
        'parameters': [438, 60],
        'note': 'again',
    }
    assert chained_rows([first]) == first and chained_rows([]) == chained_rows([()]) == []


def test_a_selection_that_the_next_learner_has_no_need_of_leaves_no_row():
    added = {'layer': 'x_select', 'type': 'ChannelSelect', 'macs': [0, 5], 'parameters': [0, 0], 'note': ''}
    assert chained_rows([[added], [{**added, 'macs': [5, 0]}]]) == []


def test_sparsity_and_bits_are_shown_where_a_learner_touched_them():
    first, second = rows({}), rows({})
    first[1].update(sparsity=[0.0, 0.75])
    second[1].update(bits=[32, 4])
    second[2].update(bits=[32, 32])
    table = chained_rows([first, second])
    assert table[1]['sparsity'] == [0.0, 0.75] and table[1]['bits'] == [32, 4]
    lines = format_rows(table).splitlines()
    assert lines[0].split()[5:] == ['sparsity', 'bits']
    assert lines[2].endswith('75.0 %    32 -> 4') and lines[3].split()[-1] == '32'


def test_notes_of_an_earlier_learner_stay():
    first, second = rows({}, {'conv1': 'first convolution'}), rows({}, {'conv2': 'x'})
    assert [row['note'] for row in chained_rows([first, second])][:2] == [
        'skipped because: first convolution',
        'skipped because: x',
    ]


def test_columns_that_say_nothing_are_left_out():
    table = rows({})
    for row in table:
        del row['inputs'], row['outputs']
        row['sparsity'] = [0.0, 0.5]
    lines = format_rows(table).splitlines()
    assert lines[0].split() == ['layer', 'MACs', 'parameters', 'sparsity']
    assert lines[-1].split() == ['total', '8,744', '1,228']
    table[0]['note'] = 'skipped because: x'
    assert format_rows(table).splitlines()[0].split() == ['layer', 'MACs', 'parameters', 'sparsity', 'note']


def test_no_layers_no_division_by_nothing():
    assert format_rows([]).splitlines()[-1].startswith('total')


def test_the_total_sparsity_is_that_of_all_kernels():
    table = rows({})
    table[0].update(sparsity=[0.0, 0.75], kernel_weights=72)
    table[1].update(sparsity=[0.0, 0.0], kernel_weights=72)
    assert '37.5 %' in format_rows(table).splitlines()[-1]
