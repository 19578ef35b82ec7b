"""What two workers have found, compared."""

from __future__ import annotations

from typing import Any

import numpy as np


def both(results: tuple[Any, ...], name: str) -> np.ndarray:
    """What must be the same for both workers, bit for bit.

    Args:
      results: the arrays of worker 0 by name, those of worker 1, and anything else.
      name: of the array.
    """
    np.testing.assert_array_equal(results[0][name], results[1][name])
    return results[0][name]


def check_exchanges(results: tuple[Any, ...]) -> None:
    """Checks the outcome of each operation in `exchanges` of program.py."""
    assert both(results, 'gathered').tolist() == [1, 2, 11, 12]
    assert [part['exchanged'].tolist() for part in results[:2]] == [[1, 11], [2, 12]]
    np.testing.assert_allclose(both(results, 'average'), [0.5, 1.5, 0.05], rtol=1e-6)
    # Ten bits of the fraction are left, so that 2049 is rounded to an even number.
    np.testing.assert_allclose(both(results, 'half'), [np.float16(1 / 3), 2048], rtol=1e-6)
    assert both(results, 'any').tolist() == [True, False]
    assert both(results, 'shared').tolist() == [0, 7]
    assert both(results, 'broadcast').tolist() == [0.5, 1.5, 1.0, 3.0]
