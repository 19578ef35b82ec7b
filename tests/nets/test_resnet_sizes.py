"""The sizes of residual networks."""

from __future__ import annotations

import pytest

from pocketflow.nets.resnet_sizes import blocks_per_group
from pocketflow.utils.errors import UsageError


@pytest.mark.parametrize(('size', 'blocks'), [(8, 1), (20, 3), (110, 18)])
def test_there_are_three_groups_of_six_layers_per_block(size, blocks):
    assert blocks_per_group(size) == blocks


@pytest.mark.parametrize('size', [2, 21, 0])
def test_other_sizes_are_refused(size):
    with pytest.raises(UsageError, match=rf'--resnet_size={size}: must be 6n \+ 2'):
        blocks_per_group(size)
