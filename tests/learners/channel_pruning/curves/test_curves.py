"""Curves as values, and their file."""

from __future__ import annotations

import json
import math

import pytest

from pocketflow.learners.channel_pruning.curves.curves import Curve, Curves, Quality, load_curves, refuse_not_finite
from pocketflow.learners.channel_pruning.curves.groups import Group
from pocketflow.utils.channels import reader_channels
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.tasks.metric import ACCURACY
from tests.learners.search.conftest import tiny_net

WHOLE = Quality(1.0, 0.9)
POINT = {'kept': 2, 'loss': 1, 'metric': 1}


def curve(name: str = 'b', size: int = 8) -> Curve:
    points = {2: Quality(2.0, 0.5), 4: Quality(1.2, 0.8), 6: Quality(1.4, 0.85)}
    return Curve(Group(size, {name: tuple(range(size))}), points)


def curves() -> Curves:
    return Curves('tiny', 'l1', 'abc', ACCURACY, 20, WHOLE, (curve(),), 1.5)


def test_rises_of_the_loss_fall_with_the_number_of_channels():
    # Measured: 1, 0.2, 0.4, and 0 for all channels; the rise from 0.2 to 0.4 is averaged.
    assert curve().losses(WHOLE, [2, 3, 4, 5, 6, 7, 8]) == pytest.approx([1, 0.65, 0.3, 0.3, 0.3, 0.15, 0])
    assert curve().drops(WHOLE, [2, 4, 6, 8], ACCURACY) == pytest.approx([0.4, 0.1, 0.05, 0])


def test_what_is_better_than_the_whole_network_costs_nothing():
    better = Curve(Group(4, {'a': (0, 1, 2, 3)}), {2: Quality(0.5, 0.95)})
    assert better.losses(WHOLE, [2, 3]).tolist() == better.drops(WHOLE, [2, 3], ACCURACY).tolist() == [0, 0]


def test_channels_of_shares():
    assert curves().kept({'b': 0.5}) == {'b': [0, 1, 2, 3]} and curves().kept({}) == {}
    assert curves().kept({'b': 0.6}, multiple=4) == {'b': [0, 1, 2, 3]}


def test_the_file_holds_everything(tmp_path):
    path = tmp_path / 'curves.json'
    curves().save(path)
    assert load_curves(path, 'delete it') == (curves(), True)
    curves().save(path, complete=False)
    assert not load_curves(path, 'delete it')[1]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'groups': [{'size': 8, 'readers': {'b': [0, 9]}, 'points': [POINT]}]}, 'contradicts itself'),
        ({'groups': [{'size': 2, 'readers': {'b': [0, 1]}, 'points': []}]}, 'contradicts itself; delete it'),
        ({'whole': {'loss': math.nan, 'metric': 0.5}}, r'\(whole.loss is NaN, not a finite number\); delete it'),
        ({'schema': 7}, 'curves of schema 7; this version reads 1'),
        ({'groups': None}, 'groups is null, not a list'),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, change, message):
    path = tmp_path / 'curves.json'
    path.write_text(json.dumps({**curves().to_json(), **change}))
    with pytest.raises(PocketFlowError, match=message) as error:
        load_curves(path, 'delete it')
    assert str(path) in str(error.value) and '\n' not in str(error.value)


def test_curves_of_another_network_are_refused():
    readers = reader_channels(tiny_net())
    curves().check_readers(readers)
    with pytest.raises(UsageError, match="layer 'hidden' has 8 input channels there; here: 12 input channels"):
        Curves('other', 'l1', '', ACCURACY, 1, WHOLE, (curve('hidden'),)).check_readers(readers)
    with pytest.raises(UsageError, match=r"another network \('other'\), .* 'c' has 8 .* here: no such layer"):
        Curves('other', 'l1', '', ACCURACY, 1, WHOLE, (curve('c'),)).check_readers(readers)


def test_numbers_that_are_not_finite_are_refused():
    refuse_not_finite(WHOLE, 'model')
    with pytest.raises(PocketFlowError, match='^layer b with 2 of 8 channels: the loss on held-out samples is nan'):
        refuse_not_finite(Quality(math.nan, 0.1), 'layer b with 2 of 8 channels')
