"""What a container may declare at most; packing keeps to it, and reading checks it before memory is taken."""

from __future__ import annotations

MAX_BYTES = 2**30
"""Of a whole container."""

MAX_VALUES = 2**28
"""Numbers of all tensors together, those of code books, scales and filled-up buckets included (1 GiB of float32)."""

MAX_MEMORY = 2**32
"""Bytes that reading takes at once, by what the manifest says: each tensor as it was decoded and as a weight of the
model, its codes and tables, and of the largest tensor what decoding takes. 2^28 values of float32 need 3 * 2^30.
"""

MAX_MANIFEST_BYTES = 2**23
"""Of the manifest, uncompressed."""

MAX_TENSORS = 2**14
MAX_RANK = 16
MAX_NAME_LENGTH = 1024
