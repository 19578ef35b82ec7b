from __future__ import annotations

import pytest

from pocketflow.learners.channel_pruning_groups.groups import groups_of


@pytest.mark.parametrize(
    ('size', 'groups'),
    [(1, [['a'], ['b', 'c', 'd'], ['e']]), (2, [['a', 'b', 'c', 'd'], ['e']]), (1000, [['a', 'b', 'c', 'd', 'e']])],
)
def test_streams_stay_whole(size, groups):
    assert groups_of([['a'], ['b', 'c', 'd'], ['e']], size) == groups
