"""Channel selection by a first-order Taylor expansion of the loss (Molchanov et al. 2017, 2019).

https://arxiv.org/abs/1611.06440, https://arxiv.org/abs/1906.10771
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.forward import forward, parts
from pocketflow.learners.channel_pruning.selectors.selector import ScoreSelector
from pocketflow.utils.channels import trace
from pocketflow.utils.tasks.nests import num_samples, take


def mean_changes(inputs: np.ndarray, gradients: np.ndarray, positions: Sequence[np.ndarray]) -> np.ndarray:
    """The mean over samples of |sum over positions of x dL/dx| for each channel, float64 `[channels]`.

    The change of the loss L, to first order, if the channel is set to zero (Molchanov et al. 2017, section 2.2; there
    divided by the number of positions).

    Args:
      inputs: x, the input of a layer, `[samples, ..., values]`.
      gradients: dL/dx, of the loss of each sample, of the same shape.
      positions: for each channel its places on the last axis.
    """
    changes = (inputs * gradients).reshape(len(inputs), -1, inputs.shape[-1]).sum(axis=1, dtype=np.float64)
    return np.stack([np.abs(changes[:, places].sum(axis=1)).mean() for places in positions])


@SELECTORS.register('taylor')
class TaylorSelector(ScoreSelector):
    """The channels without which the loss would change most, to first order (Molchanov et al. 2017).

    The gradient is that through the layer alone that reads the channel, because only this layer drops it.
    """

    needs_supervision = True

    def score(self) -> dict[str, np.ndarray]:
        graph, readers, images = trace(self.context.model), self.context.readers, self.context.sampling.images
        supervision = self.context.supervision
        assert supervision is not None, 'a selector that needs supervision is created with it'
        sums = {name: np.zeros(reader.num_channels) for name, reader in readers.items()}
        for part in parts(graph, images):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                run = forward(graph, take(images, part), readers, tape.watch)
                loss = supervision.loss(take(supervision.labels, part), run.outputs)
            gradients = tape.gradient(loss, dict(run.inputs), unconnected_gradients=tf.UnconnectedGradients.ZERO)
            size = part.stop - part.start
            for name, reader in readers.items():
                # The loss is a mean over samples, of which each input affects its own sample only.
                gradient = size * gradients[name].numpy()
                sums[name] += size * mean_changes(run.inputs[name].numpy(), gradient, reader.positions)
        return {name: total / num_samples(images) for name, total in sums.items()}
