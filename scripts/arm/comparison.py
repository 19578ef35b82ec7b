"""Comparison of the outputs of one file on two machines."""

from __future__ import annotations

import dataclasses

import numpy as np

from pocketflow.scripts.arm.tolerance import Tolerance


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Largest difference of outputs, in the tolerance's unit and relative to the reference's range (max - min).

    `same_top1` counts the samples, of `num_samples`, whose largest output has the same index.
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
        """One line, for example `float: differs by 2.8e-07 of the range (at most 0.0001), ...: ok`."""
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
    """Compares the raw outputs [N, ..., classes] of two machines.

    Args:
      reference: outputs of this machine.
      outputs: outputs of the other machine.
      tolerance: the largest accepted difference.
      scale: factor from the raw outputs to the units of `tolerance.step`: the scale of an integer output.

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
