"""How narrow the range of a tensor may be beside what the operation before it could reach.

An int8 operation multiplies its sums by `input scale * weight scale / output scale`, or by `input scale / output scale`
if it has no weights. LiteRT 2.1 takes no convolution with a factor of 2^8 or more (the XNNPACK delegate refuses the
file), no dense layer with one of 2^12, and aborts the process at an addition with one of 2^19; smaller factors have no
limit down to 2^-40, and scales themselves none but 2^-118. A width of `LEAST_SHARE` of the reach keeps factors below
`2 / LEAST_SHARE / 127`, which is 2^4.01.
"""

from __future__ import annotations

LEAST_SHARE = 2.0**-10
"""Least width of a range, in units of the magnitude that the operation could reach.

The rounding of its inputs alone moves an output by 1/255 of that magnitude, so that no accuracy is lost.
"""
NOTHING = 2.0**-20
"""Width of a range, in the same units, up to which a tensor counts as zero; the calibrator writes 1e-38 for zero."""


def least_width(reach: float, width: float) -> float:
    """The least width of a range that was observed to have some width.

    A tensor that was always zero gets all that it could reach, since its true range is not known.

    Args:
      reach: the largest magnitude that one product of the operation, or one term of its sum, can have.
      width: observed, zero being within the range.
    """
    return reach if width <= NOTHING * reach else LEAST_SHARE * reach
