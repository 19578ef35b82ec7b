"""Orders and sets of channels of groups, by hand."""

from __future__ import annotations

import numpy as np

from pocketflow.learners.channel_pruning.curves.groups import Group, joint_group, single_group, with_floors
from pocketflow.utils.channels.streams import Stream


def stream(places: dict[str, list[int]], pinned: list[int] = (), size: int = 6) -> Stream:
    is_pinned = np.isin(np.arange(size), pinned)
    return Stream(np.arange(size), {name: np.array(own) for name, own in places.items()}, is_pinned)


def test_a_reader_keeps_the_first_channels_of_its_order():
    group = single_group('a', np.array([2, 0, 3, 1]))
    assert group.name == 'a' and group.size == 4
    assert [group.kept(count)['a'] for count in (1, 2, 4)] == [[2], [0, 2], [0, 1, 2, 3]]
    assert group.counts([0.25, 0.3, 0.5, 1.0]) == [1, 2, 4] and group.counts([0.25, 1.0], multiple=4) == [4]


def test_groups_of_a_convolution_keep_equally_many_channels():
    group = single_group('a', np.array([3, 2, 0, 1]), num_groups=2)  # channels 0, 1 and 2, 3
    assert group.size == 2 and group.kept(1) == {'a': [0, 3]}


def test_readers_of_a_stream_keep_the_same_channels_and_those_that_others_need():
    group = joint_group(stream({'a': [0, 1, 2, 3], 'b': [2, 3, 4, 5]}, pinned=[3]), np.array([3, 5, 0, 2, 4, 1]))
    assert group.size == 5 and group.name == 'a'
    assert group.kept(2) == {'a': [0, 3], 'b': [1, 3]}  # channels 3, 5 and 0 of the stream
    assert group.kept(5) == {'a': [0, 1, 2, 3], 'b': [0, 1, 2, 3]}


def test_a_reader_keeps_at_least_one_channel():
    assert Group(4, {'a': (0, 1), 'b': (3, 2)}).kept(1) == {'a': [0], 'b': [1]}


def test_no_part_of_a_stream_vanishes():
    order, parts = np.arange(8), [np.arange(4), np.arange(4, 8)]
    found = with_floors(order, parts)
    assert sorted(found.tolist()) == [*range(8)]
    for count in range(1, 9):
        assert all(np.isin(part, found[:count]).sum() >= int(4 * count / 8 * 0.5) for part in parts)
    assert with_floors(order, [order]).tolist() == order.tolist()
