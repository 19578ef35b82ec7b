from __future__ import annotations

import numpy as np

from pocketflow.learners.channel_pruning.regressions import Sampling
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext, Supervision
from pocketflow.learners.channel_pruning_discrimination.heads import with_head
from pocketflow.learners.channel_pruning_discrimination.selector import HeadSelector
from tests.learners.channel_pruning_discrimination.test_heads import net


def test_layers_behind_the_head_have_the_loss_of_the_network():
    model, images = net(), np.ones((2, 4, 4, 2), np.float32)
    context = SelectionContext(model, {}, Sampling(images, 1, 1e-5, 0), Supervision(np.zeros(2), lambda *_: 0.0))
    selector, headed = HeadSelector(context), with_head(model, 'a', seed=0)
    assert selector.network_of(model, 'a') is model
    selector.has_head = True
    body, head = headed(images)
    np.testing.assert_array_equal(selector.network_of(headed, 'a')(images), head)
    np.testing.assert_array_equal(selector.network_of(headed, 'b')(images), body)
