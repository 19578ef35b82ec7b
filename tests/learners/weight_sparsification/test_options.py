"""What is refused of the options."""

from __future__ import annotations

import pytest

from pocketflow.learners.weight_sparsification.learner import WeightSparseOptions
from pocketflow.utils.errors import UsageError


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'prune_ratio': 1.0}, '--ws_prune_ratio=1.0: must be a number >= 0 and < 1$'),
        ({'protocol': 'best'}, '--ws_prune_ratio_prtl=best: must be one of uniform, heurist, optimal$'),
        ({'num_rollouts': 0}, '--ws_nb_rlouts=0: must be a number >= 1$'),
        ({'exponent': 0.0}, '--ws_prune_ratio_exp=0.0: must be a number > 0$'),
        ({'update_step': 0}, '--ws_mask_update_step=0: must be a number >= 1$'),
        (
            {'begin': 0.6},
            '--ws_iter_ratio_beg=0.6: pruning begins after its end; give at most --ws_iter_ratio_end=0.5$',
        ),
        ({'end': 1.5}, '--ws_iter_ratio_end=1.5: must be a number >= 0 and <= 1$'),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(UsageError, match=message):
        WeightSparseOptions(**options)
