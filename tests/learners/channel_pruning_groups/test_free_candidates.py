from __future__ import annotations

import math

import numpy as np
import pytest

from pocketflow.learners.channel_pruning.candidates import least_share
from pocketflow.learners.channel_pruning_groups.free_candidates import FreeChannelCandidates, flops_reward
from pocketflow.utils.costs.cost_model import total_macs
from pocketflow.utils.training.trainer import TrainerParts
from tests.learners.channel_pruning.test_candidates import PRUNED, Sampling, images, reader_channels
from tests.learners.search.conftest import tiny_net


def test_errors_below_the_tolerance_earn_nothing():
    assert flops_reward(0.5, math.e**4, 0.15) == pytest.approx(-2.0)
    assert flops_reward(0.95, math.e**4, 0.15) == flops_reward(0.9, math.e**4, 0.15) == pytest.approx(-0.6)


def test_candidates_have_no_budget_and_fewer_operations_are_rewarded():
    model = tiny_net()
    readers = {name: reader_channels(model)[name] for name in PRUNED}
    made = FreeChannelCandidates(0.15, model, readers, 'l1', 0.5, Sampling(images(), 5, 1e-5, 0), TrainerParts())
    assert made.budget is None
    most, least = (made.domain.decode(np.full(len(PRUNED), place)) for place in (1.0, 0.0))
    assert most == pytest.approx(dict.fromkeys(PRUNED, 1.0))
    assert least == pytest.approx(dict.fromkeys(PRUNED, least_share(0.5)))
    assert made.macs(most) == total_macs(model) > made.macs(least)
    assert made.domain.cost(least) == made.macs(least)
    assert made.reward(0.8, most) == pytest.approx(-0.2 * math.log(2 * total_macs(model)))
    assert made.reward(0.8, least) > made.reward(0.8, most)
