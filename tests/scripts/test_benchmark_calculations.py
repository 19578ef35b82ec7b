"""What benchmarks compute from what they have measured, and which runs of the program they ask for."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.program.checks import checked_command
from pocketflow.nets.resnet import resnet
from pocketflow.scripts.benchmarks import (
    channel_select,
    channel_selection,
    compression,
    gradient_compression,
    search,
    trial_memory,
)
from pocketflow.scripts.benchmarks.common import medians_of_rounds, norm_plan
from pocketflow.utils.channels import ChannelSelect, remove_channels
from pocketflow.utils.costs.cost_model import total_macs
from pocketflow.utils.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return resnet(8, (8, 8, 3), 10)


def test_the_plan_keeps_the_channels_of_large_norm_but_spares_the_first_layer_and_the_logits():
    model = network()
    plan = norm_plan(model, 0.75)
    assert not {'stem', 'logits'} & plan.keys()
    norms = np.abs(model.get_layer('group2_block1_conv2').kernel.numpy()).sum(axis=(0, 1, 3))
    assert set(plan['group2_block1_conv2']) == set(np.argsort(norms)[-8:].tolist())


def test_the_three_ways_to_select_compute_the_same():
    model = network()
    plan = norm_plan(model, 0.5)
    models = channel_select.variants(model, plan)
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32)
    channel_select.check_equal(models, images)
    selects = {
        name: [layer for layer in variant.layers if isinstance(layer, ChannelSelect)]
        for name, variant in models.items()
    }
    assert len(selects['convolution']) == len(selects['gather']) > 0 == len(selects['none'])
    assert {type(layer) for layer in selects['gather']} == {channel_select.GatherSelect}
    assert total_macs(remove_channels(model, plan)) < total_macs(models['none']) < total_macs(model)


def test_the_margin_is_over_the_best_of_the_simple_criteria():
    rows = [
        channel_selection.Row(name, refit, accuracy, 0.4, None)
        for name, refit, accuracy in (
            ('lasso', True, 0.75),
            ('obs', True, 0.875),
            ('l1', True, 0.5),
            ('l1', False, 0.125),
            ('random', True, 0.625),
            ('random', False, 0.25),
        )
    ]
    assert channel_selection.margin(rows, 'lasso', refit=True) == 0.125
    assert channel_selection.margin(rows, 'lasso', refit=False) == 0.5
    assert channel_selection.margin(rows, 'obs', refit=True) == 0.25
    assert channel_selection.worst_over_random(rows[1:]) == ('l1', -0.125)


def test_medians_are_of_rounds_in_turns():
    order, values = [], iter([1.0, 10.0, 5.0, 20.0, 3.0, 90.0])

    def contestant(name: str):
        return lambda: order.append(name) or next(values)

    assert medians_of_rounds({'a': contestant('a'), 'b': contestant('b')}, 3) == {'a': 3.0, 'b': 20.0}
    assert order == ['a', 'b'] * 3


def test_the_chart_of_bytes_shows_where_the_exchanges_part():
    drawing = ElementTree.fromstring(gradient_compression.chart(gradient_compression.Sizes(271152, 1386)))
    lines = [
        [float(point.split(',')[1]) for point in line.get('points').split()]
        for line in drawing.iter()
        if line.tag.endswith('polyline')
    ]
    none, _, gather, chunked, _ = lines
    assert gather[0] == chunked[0] > none[0] and gather[-1] < none[-1] < chunked[-1]  # downwards
    texts = {text.text for text in drawing.iter() if text.tag.endswith('text')}
    assert {*gradient_compression.COMPUTED, '2', '1024', '100 kB', '1 MB'} <= texts
    page = (ROOT / 'docs/gradient_compression.svg').read_text(encoding='utf-8')
    assert page == gradient_compression.chart(gradient_compression.Sizes(271152, 1386))


def test_the_loopback_interface_counts_what_this_machine_sends_itself():
    before = gradient_compression.loopback_bytes()
    with socket.create_server(('127.0.0.1', 0)) as server, socket.create_connection(server.getsockname()) as sender:
        receiver, _ = server.accept()
        with receiver:
            sender.sendall(bytes(100000))
            receiver.recv(100000, socket.MSG_WAITALL)
    assert gradient_compression.loopback_bytes() - before >= 100000


@pytest.mark.parametrize(
    ('accuracies', 'goals'),
    [((0.86, 0.856, 0.8, 0.7), ['met', 'met']), ((0.86, 0.854, 0.8, 0.855), ['MISSED', 'MISSED'])],
)
def test_trainings_are_compared_with_the_uncompressed_one(accuracies, goals, capsys: pytest.CaptureFixture):
    arguments = gradient_compression.make_parser().parse_args(['--train_epochs=0.5'])
    gradient_compression.show_accuracies(dict(zip(gradient_compression.TRAININGS, accuracies, strict=True)), arguments)
    shown = capsys.readouterr().out
    assert '0.5 epochs' in shown and '86.00%' in shown and f'{100 * (0.86 - accuracies[1]):.2f}' in shown
    assert [line.rpartition(': ')[2] for line in shown.splitlines() if line.startswith('goal')] == goals


@pytest.mark.parametrize('text', ['0', '-1', 'nan', 'inf', 'six'])
def test_epochs_are_a_positive_number(text: str):
    with pytest.raises(UsageError, match=f'--train_epochs: {text} is not a number > 0'):
        gradient_compression.make_parser().parse_args([f'--train_epochs={text}'])


def test_cases_are_run_in_the_order_of_the_table():
    assert compression.chosen('sparse-90, uniform-4') == ['uniform-4', 'sparse-90']
    assert compression.chosen('all') == list(compression.CASES)
    with pytest.raises(UsageError, match="unknown case 'sparse-10'; known: all, uniform-tf, "):
        compression.chosen('uniform-4,sparse-10')


@pytest.mark.parametrize(
    ('changes', 'met'),
    [
        ({}, True),
        ({'accuracy_drop': 0.0051}, False),
        ({'size_ratio': 3.2}, False),
        ({'speedup': 0.9}, False),
        ({'speedup': None}, False),
    ],
)
def test_a_case_is_met_if_all_its_bounds_are(changes, met):
    measured = {'accuracy_drop': 0.005, 'size_ratio': 3.3, 'speedup': 1.0, **changes}
    assert compression.is_met(compression.CASES['uniform-tf'], measured) is met


def searched(task: str, method: str, before: float, accuracy: float) -> dict[str, Any]:
    return {'task': task, 'method': method, 'accuracy_before': before, 'accuracy': accuracy}


def test_a_search_is_measured_against_the_uniform_choice_of_its_task():
    rows = [
        searched('macs-50', 'uniform', 0.70, 0.80),
        searched('macs-50', 'gp', 0.74, 0.81),
        searched('bits-3', 'uniform', 0.5, 0.85),
        searched('bits-3', 'gp', 0.5, 0.854),
    ]
    gains = search.gains(rows)
    assert [(item['task'], item['gain'], item['gain_before']) for item in gains] == [
        ('macs-50', 0.01, 0.04),
        ('bits-3', 0.004, 0.0),
    ]
    assert [search.is_met(item) for item in gains] == [True, False]
    assert not search.is_met({**gains[0], 'gain_before': 0.0299}) and not search.is_met({**gains[0], 'gain': -0.001})


def test_the_uniform_choice_is_a_search_of_one_trial():
    arguments = search.parser().parse_args(['--smoke'])
    arguments.work_dir = 'w'
    uniform, searching = (search.main_flags(search.TASKS['macs-50'], method, arguments) for method in ('uniform', 'gp'))
    assert set(searching) - set(uniform) == {'--cpr_nb_rlouts=2', '--hp_optimizer=gp'}
    assert set(uniform) - set(searching) == {'--cpr_nb_rlouts=1', '--hp_optimizer=random'}


def main_commands() -> list[list[str]]:
    """What benchmarks call main.py with, and their smoke tests."""
    commands = []
    for words in (['--smoke', '--work_dir=w'], ['--model=m', '--data_dir=d', '--work_dir=w']):
        cases, searches = compression.parser().parse_args(words), search.parser().parse_args(words)
        commands += [compression.main_flags(case, cases) for case in compression.CASES.values()]
        commands += [
            search.main_flags(task, method, searches) for task in search.TASKS.values() for method in search.METHODS
        ]
        training = gradient_compression.make_parser().parse_args(
            ['--train_epochs=2', *(word for word in words if word != '--model=m')]
        )
        commands += [
            [*gradient_compression.training_flags(training), *flags]
            for flags in gradient_compression.TRAININGS.values()
        ]
    return commands


@pytest.mark.parametrize('flags', main_commands(), ids=' '.join)
def test_commands_are_accepted_by_the_program(flags: list[str]):
    checked_command(['main.py', *flags])


@pytest.mark.parametrize('learner', trial_memory.SPACES)
def test_the_space_of_each_learner_can_be_searched(learner: str, tmp_path: Path):
    """The smoke test tries out one of them."""
    arguments = trial_memory.make_parser().parse_args(['--smoke'])
    search_over_flags = trial_memory.search_of(trial_memory.make_helper(arguments), learner, arguments, tmp_path)
    (name,) = search_over_flags.flags.domain.names
    assert name in trial_memory.SPACES[learner]


def test_an_unknown_task_or_method_is_refused():
    for words, expected in (
        (['--tasks=x'], 'unknown .x.; known: sparsity-90'),
        (['--methods=uniform'], 'unknown .uniform.; known: ddpg, gp, random, tpe'),
    ):
        arguments = search.parser().parse_args([*words, '--model=m'])
        with pytest.raises(UsageError, match=expected):
            search.measure(arguments)
