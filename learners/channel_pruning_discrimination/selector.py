"""The selector of a network with an auxiliary head."""

from __future__ import annotations

import tf_keras as keras

from pocketflow.learners.channel_pruning.selectors.dcp import DcpSelector
from pocketflow.learners.channel_pruning_discrimination.heads import body_of, head_of


class HeadSelector(DcpSelector):
    """Scores channels by the loss of a head, or of the network for layers that the head does not depend on."""

    has_head = False
    """Whether the models whose layers are pruned are those of `with_head`."""

    def network_of(self, model: keras.Model, layer: str) -> keras.Model:
        if not self.has_head:
            return model
        head = head_of(model)
        return head if any(own.name == layer for own in head.layers) else body_of(model)
