"""Grids of weights: the step of each channel with the least squared error, and rounding to it.

Weights are matrices `[elements, channels]`, with a symmetric grid per channel: `code * step`, for codes of
`-top .. top`, top = 2^(bits-1) - 1. The largest weight of a channel always has the code `top` or `-top`. The step is
then the largest magnitude divided by `top`, and whoever derives the grid from the rounded weights, as the converter of
TensorFlow Lite does, finds the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pocketflow.utils.quantization.encoding import largest_symmetric_code

Matrix = NDArray[np.float32]

SHARES = np.linspace(0.4, 1.0, 61)
"""Ends of candidate grids, as shares of the largest weight."""


def steps(weights: Matrix, bits: int) -> Matrix:
    """The step of each channel for which rounding to the nearest has the least squared error.

    Args:
      weights: `[elements, channels]`.
      bits: 2 to 8.

    Returns:
      float32 `[channels]`; 1 for channels of zeros.
    """
    top = largest_symmetric_code(bits)
    largest = np.abs(weights).max(0)
    whole = np.where(largest > 0, largest / top, 1).astype(np.float32)
    best, least = whole, np.full(weights.shape[1], np.inf)
    for share in SHARES[::-1]:
        candidate = (whole * share).astype(np.float32)
        errors = ((weights - nearest(weights, candidate, bits) * candidate) ** 2).sum(0)
        best = np.where(errors < least, candidate, best)
        least = np.minimum(errors, least)
    return np.where(largest > 0, best, 1).astype(np.float32)


def nearest(weights: Matrix, step: Matrix, bits: int) -> Matrix:
    """The codes of the nearest values of the grid, as float32 `[elements, channels]`.

    >>> nearest(np.array([[0.9], [-0.4]], np.float32), np.array([0.2], np.float32), 3).tolist()
    [[3.0], [-2.0]]
    """
    top = largest_symmetric_code(bits)
    return np.clip(np.rint(weights / step), -top, top).astype(np.float32)


def with_full_range(codes: Matrix, weights: Matrix, bits: int) -> Matrix:
    """The codes, with `top` or `-top` for the largest weight of each channel without such a code.

    >>> with_full_range(np.array([[6.0], [1.0]]), np.array([[0.69], [0.1]]), 4).tolist()
    [[7.0], [1.0]]
    """
    top = largest_symmetric_code(bits)
    largest, channels = np.abs(weights).argmax(0), np.arange(weights.shape[1])
    missing = (np.abs(codes).max(0) < top) & (np.abs(weights).max(0) > 0)
    result = codes.copy()
    signs = np.sign(weights[largest, channels])
    result[largest[missing], channels[missing]] = top * signs[missing]
    return result
