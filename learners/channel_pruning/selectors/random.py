"""Channel selection at random, as a baseline for other criteria."""

from __future__ import annotations

import numpy as np


def random_channels(num_channels: int, num_keep: int, rng: np.random.Generator) -> np.ndarray:
    """`num_keep` channels drawn at random, as a baseline for other criteria."""
    return np.sort(rng.choice(num_channels, num_keep, replace=False))
