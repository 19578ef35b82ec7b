"""The sizes of residual networks."""

from __future__ import annotations

import pytest

from pocketflow.nets.resnet_sizes import BLOCKS_OF_GROUPS, blocks_of_groups, blocks_per_group, has_bottlenecks
from pocketflow.utils.errors import UsageError


@pytest.mark.parametrize(('size', 'blocks'), [(8, 1), (20, 3), (110, 18)])
def test_there_are_three_groups_of_six_layers_per_block(size, blocks):
    assert blocks_per_group(size) == blocks


@pytest.mark.parametrize('size', [2, 21, 0])
def test_other_sizes_are_refused(size):
    with pytest.raises(UsageError, match=rf'--resnet_size={size}: must be 6n \+ 2'):
        blocks_per_group(size)


def test_layers_of_large_networks_are_a_stem_their_blocks_and_a_dense_layer():
    for size in BLOCKS_OF_GROUPS:
        assert size == 2 + (3 if has_bottlenecks(size) else 2) * sum(blocks_of_groups(size))


def test_unknown_large_sizes_are_refused():
    with pytest.raises(UsageError, match='--resnet_size=20: must be one of 18, 34, 50, 101, 152, 200'):
        blocks_of_groups(20)
