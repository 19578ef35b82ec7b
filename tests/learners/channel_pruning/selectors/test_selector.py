from __future__ import annotations

import numpy as np

from pocketflow.learners.channel_pruning.selectors.selector import ScoreSelector, SelectionContext
from tests.learners.channel_pruning.test_refit import regressions, selector


class Given(ScoreSelector):
    """A selector with given scores, which counts how often they are asked for."""

    num_calls = 0

    def score(self):
        self.num_calls += 1
        return {'b': np.array([0.0, 3, 1, 2, 7, 6, 5, 4])}


def test_the_highest_scores_come_first_and_are_computed_once():
    context: SelectionContext = selector('l1').context
    given, layer = Given(context), regressions()['b']
    assert given.order(layer).tolist() == [4, 5, 6, 7, 1, 3, 2, 0]
    assert given.choose(layer, 3).tolist() == [4, 5, 6]
    assert given.num_calls == 1
