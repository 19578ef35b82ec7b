"""Discrimination-aware channel selection: greedy growth by the gradient of a reconstruction and a task loss.

Zhuang et al. 2018, "Discrimination-aware Channel Pruning for Deep Neural Networks", https://arxiv.org/abs/1810.11809,
algorithm 2. The kept set A is empty at first. In each round the channels outside A are scored by the squared norm of
the gradient of the joint loss with respect to their weights, the best are added to A, and the weights on A are fitted.
Differences: several channels are added per round; the weights are fitted by least squares, shrunk towards the trained
ones; the gradients of the two losses are scaled to the same norm, because otherwise one of them decides alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.contributions import images_at_once
from pocketflow.learners.channel_pruning.linear_forms import LinearForm, known_linear_form
from pocketflow.learners.channel_pruning.refit import LayerRegression
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext, Selector, Supervision, best_first
from pocketflow.learners.channel_pruning.stream_regression import StreamRegression, coefficients
from pocketflow.utils.graph import copied, nodes_in_order
from pocketflow.utils.graph.inputs import inputs_in_order
from pocketflow.utils.system import interrupts
from pocketflow.utils.tasks.nests import Nest, in_batches, num_samples, take

NUM_ROUNDS = 8
"""Rounds until all channels of a layer are chosen: an eighth of them is added per round."""
NUM_SCORED = 250
"""Most samples on which the gradient of the task loss is computed."""

Scores = Callable[[np.ndarray], np.ndarray]
"""`scores(kept)` returns the score of each channel, float64 `[channels]`, if those of `kept` are in the set."""
Gradients = Callable[[keras.Model, list[LinearForm]], list[np.ndarray]]


def channel_energies(gradient: np.ndarray, channel_of: np.ndarray, num_channels: int) -> np.ndarray:
    """The squared norm of each channel's rows, float64 `[channels]`.

    Args:
      gradient: `[features, outputs]`.
      channel_of: the channel of each feature, int `[features]`.
      num_channels: number of channels.
    """
    return np.bincount(channel_of, np.square(gradient).sum(axis=1), minlength=num_channels)


def balanced(reconstruction: np.ndarray, discrimination: np.ndarray) -> np.ndarray:
    """The sum of two gradients of one shape, each divided by its norm unless that is 0.

    >>> balanced(np.array([3.0, 4.0]), np.array([0.0, 0.1])).tolist()
    [0.6, 1.8]
    """
    norms = [float(np.linalg.norm(gradient)) or 1.0 for gradient in (reconstruction, discrimination)]
    return reconstruction / norms[0] + discrimination / norms[1]


def grown(scores: Scores, num_channels: int, num_keep: int, per_round: int) -> np.ndarray:
    """Channels in the order in which greedy growth adds them, int `[num_keep]`.

    Args:
      scores: called at the beginning of each round.
      num_channels, num_keep: number of channels, and of those to choose.
      per_round: number of channels that are added per round.
    """
    kept = np.zeros(0, int)
    while len(kept) < num_keep:
        outside = np.ones(num_channels, bool)
        outside[kept] = False
        best = best_first(np.where(outside, scores(kept), -np.inf))
        kept = np.concatenate([kept, best[: min(per_round, num_keep - len(kept))]])
    return kept


def bytes_of_outputs(model: keras.Model, image: Nest) -> int:
    """Size in bytes of the outputs of all layers, which the gradient needs, for inputs `[1, ...]`."""
    outputs = [node.outputs for node in nodes_in_order(model) if not node.is_input]
    values = keras.Model(model.inputs, outputs)(inputs_in_order(model, image), training=False)
    return sum(value.shape.num_elements() * value.dtype.size for value in tf.nest.flatten(values))


def loss_gradients(
    network: keras.Model, forms: list[LinearForm], images: Nest, supervision: Supervision, batch_size: int
) -> list[np.ndarray]:
    """Gradients of the mean loss of a network in inference mode with respect to the weights of some of its layers.

    Args:
      network: maps the images to outputs that the loss takes.
      forms: of the layers, which are in the network.
      images: `[N, ...]`.
      supervision: their labels, and the loss.
      batch_size: images that are run together.

    Returns:
      For each layer float64 `[features, outputs]`.
    """
    kernels = [form.kernel for form in forms]
    sums = [np.zeros(kernel.shape) for kernel in kernels]
    labels = supervision.labels
    for inputs, expected in zip(*(in_batches(nest, batch_size) for nest in (images, labels)), strict=True):
        interrupts.check()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(kernels)
            loss = supervision.loss(expected, network(inputs_in_order(network, inputs), training=False))
        gradients = tape.gradient(loss, kernels, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        weight = num_samples(expected) / num_samples(labels)
        sums = [total + weight * gradient.numpy() for total, gradient in zip(sums, gradients, strict=True)]
    return [form.as_matrix(total) for form, total in zip(forms, sums, strict=True)]


@SELECTORS.register('dcp')
class DcpSelector(Selector):
    """Greedy growth by the gradients of the reconstruction error and of a loss of the pruned network.

    For a layer, the gradient is that of its weights. For a stream, whose readers are decided together before any layer
    is re-fitted, it is that of one scale per channel, which multiplies the channel's weights in all readers.
    """

    needs_supervision = True

    def __init__(self, context: SelectionContext):
        super().__init__(context)
        assert context.supervision is not None, 'prune_channels requires it'
        few = slice(NUM_SCORED)
        self._images = take(context.sampling.images, few)
        self._supervision = Supervision(take(context.supervision.labels, few), context.supervision.loss)
        self._batch_size = images_at_once(bytes_of_outputs(context.model, take(self._images, slice(1))))

    def network_of(self, model: keras.Model, layer: str) -> keras.Model:
        """The network whose outputs the loss takes when the channels of a layer of `model` are chosen."""
        return model

    def order(self, regression: LayerRegression) -> np.ndarray:
        return self._grown(regression, regression.num_channels)

    def choose(self, regression: LayerRegression, num_keep: int) -> np.ndarray:
        return np.sort(self._grown(regression, num_keep))

    def joint_order(self, regression: StreamRegression) -> np.ndarray:
        return self._grown_jointly(regression, len(regression.free))

    def choose_jointly(self, regression: StreamRegression, num_keep: int) -> np.ndarray:
        return np.sort(self._grown_jointly(regression, num_keep))

    def _grown(self, regression: LayerRegression, num_keep: int) -> np.ndarray:
        form, trained, num_channels = regression.form, regression.weights, regression.num_channels
        network = self.network_of(regression.model, form.layer.name)

        def scores(kept: np.ndarray) -> np.ndarray:
            form.assign(trained if len(kept) else np.zeros_like(trained))
            if len(kept):
                regression.refit(kept)
            reconstruction = regression.equations.half_gradient(regression.weights)
            (discrimination,) = self._gradients(network, [form])
            return channel_energies(balanced(reconstruction, discrimination), regression.channel_of, num_channels)

        try:
            return grown(scores, num_channels, num_keep, math.ceil(num_channels / NUM_ROUNDS))
        finally:
            form.assign(trained)

    def _grown_jointly(self, regression: StreamRegression, num_keep: int) -> np.ndarray:
        gates = _Gates(copied(self.context.model), self.context, regression, self._gradients)
        gram, cross = regression.equations()

        def scores(kept: np.ndarray) -> np.ndarray:
            scales = np.zeros(len(cross))
            scales[kept] = coefficients(gram, cross, kept)
            return np.square(balanced(gram @ scales - cross, gates.gradient(scales)))

        return grown(scores, len(cross), num_keep, math.ceil(len(cross) / NUM_ROUNDS))

    def _gradients(self, network: keras.Model, forms: list[LinearForm]) -> list[np.ndarray]:
        return loss_gradients(network, forms, self._images, self._supervision, self._batch_size)


class _Gates:
    """A network in which one scale per free channel of a stream multiplies the weights of its readers.

    Args:
      model: a copy of the full model, which is modified.
      context: of the selection.
      regression: the free channels of the stream, and the readers.
      gradients: returns the gradients of the loss with respect to the weights of some layers of a network.
    """

    def __init__(
        self, model: keras.Model, context: SelectionContext, regression: StreamRegression, gradients: Gradients
    ):
        self._model, self._free, self._gradients = model, regression.free, gradients
        self._forms = [known_linear_form(model.get_layer(name)) for name in regression.readers]
        self._trained = [form.weights() for form in self._forms]
        places = [regression.stream.places[name] for name in regression.readers]
        self._channels = [
            own[form.channel_of(context.readers[name].positions)]
            for name, form, own in zip(regression.readers, self._forms, places, strict=True)
        ]
        self._size = len(regression.stream.identities)

    def gradient(self, scales: np.ndarray) -> np.ndarray:
        """The gradient of the loss with respect to the scales, float64 `[free]`; other channels have a scale of 1."""
        every = np.ones(self._size)
        every[self._free] = scales
        for form, weights, channels in zip(self._forms, self._trained, self._channels, strict=True):
            form.assign(weights * every[channels][:, None])
        total = np.zeros(self._size)
        gradients = self._gradients(self._model, self._forms)
        for gradient, weights, channels in zip(gradients, self._trained, self._channels, strict=True):
            total += np.bincount(channels, np.sum(gradient * weights, axis=1), minlength=self._size)
        return total[self._free]
