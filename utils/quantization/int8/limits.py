"""Least width of the range of a tensor, relative to the largest magnitude that its operation could reach.

An int8 operation multiplies its sums by `input scale * weight scale / output scale`, or by `input scale / output scale`
if it has no weights. LiteRT 2.1 rejects convolutions with a factor of 2^8 or more (the XNNPACK delegate rejects the
file) and dense layers with one of 2^12, and aborts the process for an addition with one of 2^19; small factors are
accepted down to 2^-40, and scales down to 2^-118. A width of `LEAST_SHARE` of the reach keeps factors below
`2 / LEAST_SHARE / 127`, which is 2^4.01.
"""

from __future__ import annotations

LEAST_SHARE = 2.0**-10
"""Least width of a range, relative to the largest magnitude that the operation could reach.

Rounding of the inputs alone changes an output by 1/255 of that magnitude, so this does not reduce the accuracy.
"""
NOTHING = 2.0**-20
"""Relative width of a range up to which a tensor counts as zero; the calibrator writes 1e-38 for zero."""


def least_width(reach: float, width: float) -> float:
    """The least width of a range, given its observed width.

    For a tensor that was always zero it is the entire reach, because the true range is unknown.

    Args:
      reach: the largest magnitude that one product of the operation, or one term of its sum, can have.
      width: observed width of the range, which includes zero.
    """
    return reach if width <= NOTHING * reach else LEAST_SHARE * reach
