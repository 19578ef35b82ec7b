"""Limits of a container, enforced when packing, and when reading before memory is allocated."""

from __future__ import annotations

MAX_BYTES = 2**30
"""Size limit of a container."""

MAX_VALUES = 2**28
"""Limit of the values of all tensors, including code books, scales and padded buckets (1 GiB of float32)."""

MAX_MEMORY = 2**32
"""Limit of the peak memory of reading in bytes, computed from the manifest: each tensor as an array and as a weight of
the model, its codes and tables, and the decoding memory of the largest tensor. 2^28 float32 values need 3 * 2^30.
"""

MAX_MANIFEST_BYTES = 2**23
"""Size limit of the uncompressed manifest."""

MAX_TENSORS = 2**14
MAX_RANK = 16
MAX_NAME_LENGTH = 1024
