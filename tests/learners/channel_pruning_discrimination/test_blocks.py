from __future__ import annotations

import pytest

from pocketflow.learners.channel_pruning_discrimination.blocks import blocks_of

NAMES = [f'conv{number}' for number in range(1, 8)]


@pytest.mark.parametrize(
    ('num_layers', 'num_heads', 'sizes'),
    [(7, 0, [7]), (7, 1, [4, 3]), (7, 3, [2, 2, 2, 1]), (7, 2, [3, 3, 1]), (2, 3, [1, 1]), (1, 3, [1])],
)
def test_all_layers_are_in_blocks_of_equal_size(num_layers, num_heads, sizes):
    blocks = blocks_of(NAMES[:num_layers], num_heads)
    assert [len(block.layers) for block in blocks] == sizes
    assert [name for block in blocks for name in block.layers] == NAMES[:num_layers]
    assert [block.number for block in blocks] == list(range(1, len(sizes) + 1))


def test_heads_are_at_the_ends_of_all_blocks_but_the_last():
    assert [block.head for block in blocks_of(NAMES, 3)] == ['conv2', 'conv4', 'conv6', None]
