"""Upper bounds of the exported container's bytes, for budgets.

The container stores bit-packed codes, or non-zero values with a bitmap, and applies an entropy coder where that is
smaller. The bounds ignore the entropy coder, so that the file is within the budget.
"""

from __future__ import annotations

from collections.abc import Collection

import tf_keras as keras

from pocketflow.utils.container import pack, tensor_table
from pocketflow.utils.quantization.encoding import Buckets

CONTAINER = 'model.pfz'
MANIFEST_BYTES_PER_LAYER = 64
"""Allowance for a longer manifest with other numbers and storage formats."""


def rest_bytes(model: keras.Model, layers: Collection[str]) -> int:
    """Bytes of a model's container without the weights of two or more axes of these layers."""
    content = pack(model)
    searched = sum(
        row.num_bytes for row in tensor_table(content) if row.name.split('/')[0] in layers and len(row.shape) > 1
    )
    num_longer = len(layers) + 1  # the file may have a head, too
    return len(content) - searched + MANIFEST_BYTES_PER_LAYER * num_longer


def sparse_bytes(num_weights: int, sparsity: float) -> float:
    """Bytes of a sparse float32 kernel: values, and their positions as a bitmap or as gaps of one byte.

    With k = n (1 - s) values: 4 k + min(n / 8, k + n / 255).

    >>> sparse_bytes(800, 0.75)
    900.0
    >>> sparse_bytes(25500, 0.96)
    5200.0
    """
    kept = num_weights * (1 - sparsity)
    return 4 * kept + min(num_weights / 8, kept + num_weights / 255)


def grid_bytes(num_weights: int, bits: float, num_buckets: int) -> float:
    """Bytes of a kernel's packed codes, and of a scale and an offset per bucket.

    >>> grid_bytes(800, 4, 2)
    416.0
    """
    return num_weights * bits / 8 + 8 * num_buckets


def codebook_bytes(num_weights: int, bits: float, num_buckets: int) -> float:
    """Bytes of a kernel's packed codes, and of a code book of 2^bits entries per bucket.

    >>> codebook_bytes(800, 4, 2)
    528.0
    """
    return num_weights * bits / 8 + 4 * 2**bits * num_buckets


def num_buckets(buckets: Buckets, shape: tuple[int, ...]) -> int:
    """Number of buckets of a kernel of this shape."""
    return buckets.matrix_shape(shape)[1]
