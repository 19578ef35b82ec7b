"""Accepted values of quantizers, for flags and their checks."""

from __future__ import annotations

MAX_WEIGHT_BITS = 16
MAX_CODEBOOK_BITS = 8
FULL_BITS = 32
"""The width that means "not quantized"."""
SYMMETRIC_BITS = (2, 8)
"""The widths of integer weights in `.tflite` files."""
CODEBOOK_STYLES = ('quantile', 'uniform')
"""Methods to initialise code books."""
