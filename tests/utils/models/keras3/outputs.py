"""What the files of Keras 3 say of its computations."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def samples_and_outputs(folder: Path, kind: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The inputs of a network, and what Keras 3 has computed from them."""
    with np.load(folder / f'{kind}.npz') as arrays:
        return tuple([arrays[name] for name in arrays if name.startswith(first)] for first in 'xy')
