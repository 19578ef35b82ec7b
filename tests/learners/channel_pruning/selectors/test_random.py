from __future__ import annotations

from tests.learners.channel_pruning.test_refit import NUM_CHANNELS, regressions, selector


def test_the_order_depends_on_the_seed_alone():
    layer = regressions()['logits']
    first, again, other = (selector('random', seed).order(layer).tolist() for seed in (0, 0, 1))
    assert first == again != other
    assert sorted(first) == list(range(NUM_CHANNELS['logits']))
