from __future__ import annotations

import numpy as np

from pocketflow.learners.channel_pruning.selectors.random import random_channels


def test_distinct_channels_are_drawn():
    drawn = random_channels(10, 4, np.random.default_rng(0)).tolist()
    assert drawn == sorted(set(drawn)) and len(drawn) == 4 and max(drawn) < 10
