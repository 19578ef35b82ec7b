"""Two machines' outputs of one file, side by side."""

from __future__ import annotations

import dataclasses

import numpy as np

from pocketflow.scripts.arm.tolerance import Tolerance


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How far outputs differ, in the tolerance's unit and as a share of the reference's range (max - min).

    `same_top1` counts the samples, of `num_samples`, whose largest output is at the same place.
    """

    tolerance: Tolerance
    difference: float
    relative: float
    same_top1: int
    num_samples: int

    @property
    def passed(self) -> bool:
        return self.difference <= self.tolerance.limit  # false for NaN, too

    def line(self) -> str:
        """What is printed of it: `float: differs by 2.8e-07 of the range (at most 0.0001), ...: ok`."""
        limit = f'{self.tolerance.limit:g}'
        found = (
            f'{self.relative:.2g} of the range (at most {limit})'
            if self.tolerance.step is None
            else f'{self.relative:.2g} of the range, {self.difference:g} steps (at most {limit})'
        )
        return (
            f'{self.tolerance.arithmetic}: differs by {found}, same top-1 in {self.same_top1} of '
            f'{self.num_samples}: {"ok" if self.passed else "DIFFERS"}'
        )


def compare(reference: np.ndarray, outputs: np.ndarray, tolerance: Tolerance, scale: float = 1.0) -> Comparison:
    """Compares outputs [N, ..., classes] of two machines, as the file returned them.

    Args:
      reference: what this machine computed.
      outputs: what the other one computed.
      tolerance: what may differ.
      scale: what one unit of these arrays is worth, in the units of `tolerance.step`: an integer output's scale.

    Raises:
      ValueError: the shapes differ.
    """
    if reference.shape != outputs.shape:
        raise ValueError(f'outputs of shapes {reference.shape} and {outputs.shape}')
    first, second = (np.asarray(values, np.float64) * scale for values in (reference, outputs))
    largest = float(np.abs(first - second).max())
    relative = largest / (float(np.ptp(first)) or 1.0)
    top1 = (first.reshape(len(first), -1).argmax(-1) == second.reshape(len(second), -1).argmax(-1)).sum()
    difference = relative if tolerance.step is None else round(largest / tolerance.step, 3)
    return Comparison(tolerance, difference, relative, int(top1), len(first))
