"""Blocks of consecutive layers, each with a loss of its own."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Block:
    """Consecutive layers that are pruned after one tuning.

    Attributes:
      number: from 1.
      layers: in the order of execution.
      head: the layer whose output has an auxiliary head; None for the last block, which has the loss of the network.
    """

    number: int
    layers: tuple[str, ...]
    head: str | None


def blocks_of(layers: Sequence[str], num_heads: int) -> list[Block]:
    """Blocks of ceil((L + 1) / (P + 1)) of L layers for P auxiliary heads, which are at the ends of all blocks but one.

    The last block may have fewer layers; if there are few layers, there are fewer blocks.

    >>> [block.layers for block in blocks_of(['a', 'b', 'c', 'd', 'e'], 2)]
    [('a', 'b'), ('c', 'd'), ('e',)]
    """
    size = math.ceil((len(layers) + 1) / (num_heads + 1))
    parts = [tuple(layers[begin : begin + size]) for begin in range(0, len(layers), size)]
    return [
        Block(number, part, None if number == len(parts) else part[-1]) for number, part in enumerate(parts, start=1)
    ]
