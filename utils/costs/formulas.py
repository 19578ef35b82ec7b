"""Formulas for multiply-adds from shapes.

A multiply-add is one product that is added to a sum, as in a matrix product or a convolution. Element-wise products
(such as those of the gates of an LSTM), normalizations and activations are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Shape = Sequence[int]


def kernel_macs(kernels: Sequence[Shape], num_positions: int) -> int:
    """Multiply-adds of kernels of these shapes that are applied at `num_positions` positions.

    Each value of a kernel is used once per position: a 3x3 convolution from 16 to 32 channels with an 8x8 output
    takes 3*3*16*32 * 64 multiply-adds. For transposed convolutions the positions are those of the input. A kernel of a
    grouped convolution has only the input channels of one group.

    >>> kernel_macs([(3, 3, 16, 32)], 64)
    294912
    """
    return num_positions * sum(math.prod(shape) for shape in kernels)


def matmul_macs(output: Shape, contracted: int) -> int:
    """Multiply-adds of a (batched) matrix product: each value of the output is a sum of `contracted` products.

    >>> matmul_macs((8, 4, 5), contracted=3)  # eight products of [4, 3] and [3, 5]
    480
    """
    return math.prod(output) * contracted


def einsum_macs(equation: str, shapes: Sequence[Shape]) -> int:
    """Multiply-adds of an Einstein summation of two tensors: one for each combination of all indices.

    Args:
      equation: as for `tf.einsum`, optionally with `...`; an equation of a single tensor takes no multiply-adds.
      shapes: shapes of the tensors.

    Raises:
      ValueError: the equation does not fit the shapes.

    >>> einsum_macs('bij,bjk->bik', [(2, 3, 4), (2, 4, 5)])  # two products of [3, 4] and [4, 5]
    120
    """
    if len(shapes) < 2:
        return 0
    sizes: dict[str, int] = {}
    for term, shape in zip(equation.replace(' ', '').split('->')[0].split(','), shapes, strict=True):
        for index, size in zip(_indices(term, len(shape)), shape, strict=True):
            sizes[index] = max(sizes.get(index, 1), size)  # broadcast axes have size 1
    return math.prod(sizes.values())


def _indices(term: str, rank: int) -> list[str]:
    """The index of each axis; the axes of `...` are numbered from the last."""
    before, ellipsis, after = term.partition('...')
    num_implied = rank - len(before) - len(after) if ellipsis else 0
    return [*before, *(str(number) for number in range(num_implied, 0, -1)), *after]


def recurrent_macs(kernels: Sequence[Shape], num_steps: int) -> int:
    """Multiply-adds of a recurrent cell over a sequence: each step multiplies by the input's and the state's kernel.

    An LSTM's kernels `[inputs, 4 units]` and `[units, 4 units]` hold all of its gates, a GRU's three.

    >>> recurrent_macs([(3, 8), (2, 8)], num_steps=5)  # an LSTM of 2 units
    200
    """
    return kernel_macs(kernels, num_steps)


def additive_attention_macs(num_queries: int, num_keys: int, depth: int, value_depth: int, has_scale: bool) -> int:
    """Multiply-adds of additive attention: scores `sum(scale * tanh(query + key))`, then the weighted sum of values.

    >>> additive_attention_macs(num_queries=3, num_keys=4, depth=2, value_depth=5, has_scale=True)
    84
    """
    return num_queries * num_keys * (depth * has_scale + value_depth)
