"""Bytes of the exported container as a budget: never less than what the file will have.

The container stores codes bit-packed, or what is not zero with a bitmap, and then uses an entropy coder where that is
smaller: the file keeps the budget, with the more room to spare the more its weights repeat themselves.
"""

from __future__ import annotations

from collections.abc import Collection

import tf_keras as keras

from pocketflow.utils.container import pack, tensor_table
from pocketflow.utils.quantization.encoding import Buckets

CONTAINER = 'model.pfz'
MANIFEST_BYTES_PER_LAYER = 64
"""How much longer the file's manifest may get by other numbers and forms of storage."""


def rest_bytes(model: keras.Model, layers: Collection[str]) -> int:
    """Bytes of the container of a model without the weights of these layers that have two or more axes."""
    content = pack(model)
    searched = sum(
        row.num_bytes for row in tensor_table(content) if row.name.split('/')[0] in layers and len(row.shape) > 1
    )
    return len(content) - searched + MANIFEST_BYTES_PER_LAYER * len(layers)


def sparse_bytes(num_weights: int, sparsity: float) -> float:
    """A kernel of so many float32 weights as values and, where they are, a bitmap or a byte per value and long gap.

    With k = n (1 - s) values: 4 k + min(n / 8, k + n / 255).

    >>> sparse_bytes(800, 0.75)
    900.0
    >>> sparse_bytes(25500, 0.96)
    5200.0
    """
    kept = num_weights * (1 - sparsity)
    return 4 * kept + min(num_weights / 8, kept + num_weights / 255)


def grid_bytes(num_weights: int, bits: float, num_buckets: int) -> float:
    """A kernel's packed codes, and a scale and an offset for each bucket.

    >>> grid_bytes(800, 4, 2)
    416.0
    """
    return num_weights * bits / 8 + 8 * num_buckets


def codebook_bytes(num_weights: int, bits: float, num_buckets: int) -> float:
    """A kernel's packed codes, and a code book of 2^bits entries for each bucket.

    >>> codebook_bytes(800, 4, 2)
    528.0
    """
    return num_weights * bits / 8 + 4 * 2**bits * num_buckets


def num_buckets(buckets: Buckets, shape: tuple[int, ...]) -> int:
    """How many buckets a kernel of this shape is cut into."""
    return buckets.matrix_shape(shape)[1]
