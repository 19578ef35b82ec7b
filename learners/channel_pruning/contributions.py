"""Contributions of the input channels to a layer's output in the full model, summed up in one pass over the data.

He, Zhang and Sun 2017, "Channel Pruning for Accelerating Very Deep Neural Networks", https://arxiv.org/abs/1707.06168,
equation (2): with Z_i = P_i W_i the part of the output Y that comes from channel i, G_ij = <Z_i, Z_j>, h_i = <Z_i, Y>.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import tf_keras as keras

from pocketflow.learners.channel_pruning.grams import contribution_gram
from pocketflow.learners.channel_pruning.layerwise import LayerwiseRun
from pocketflow.learners.channel_pruning.linear_forms import draw_places, known_linear_form
from pocketflow.utils.channels import ReaderChannels
from pocketflow.utils.channels.identities import trace
from pocketflow.utils.tasks.nests import Nest, in_batches

BATCH_SIZE = 50


@dataclasses.dataclass(frozen=True)
class ChannelStatistics:
    """The regression of a layer's output on the contributions of its input channels, with its current weights.

    Attributes:
      gram: G, float64 `[channels, channels]`.
      cross: h, float64 `[channels]`. The output is the sum of all contributions, so this is G times ones.
      energy: sum of squares of the output, without its bias.
      num_rows: number of sampled positions.
    """

    gram: np.ndarray
    cross: np.ndarray
    energy: float
    num_rows: int


def contributions(
    model: keras.Model, readers: Mapping[str, ReaderChannels], images: Nest, num_positions: int, seed: int
) -> dict[str, ChannelStatistics]:
    """The statistics of all readers of a model, from one pass over images.

    Args:
      model: a functional model.
      readers: layers that have a linear form (`linear_forms.linear_form`), in the order of execution.
      images: float32 `[N, height, width, channels]`; several inputs are a dict or tuple of arrays.
      num_positions: output positions per image and layer.
      seed: draws the positions.

    Returns:
      The statistics by name of the reader.
    """
    graph, rng = trace(model), np.random.default_rng(seed)
    forms = {name: known_linear_form(model.get_layer(name)) for name in readers}
    weights = {name: form.weights() for name, form in forms.items()}
    channel_of = {name: form.channel_of(readers[name].positions) for name, form in forms.items()}
    grams = {name: np.zeros((reader.num_channels, reader.num_channels)) for name, reader in readers.items()}
    rows = dict.fromkeys(readers, 0)
    for batch in in_batches(images, BATCH_SIZE):
        run = LayerwiseRun(graph, [batch])
        for name, form in forms.items():
            run.run_until(name)
            inputs = run.input_of(name)[0]
            patches = form.patches(inputs, draw_places(rng, form.output_size(inputs.shape), num_positions))
            grams[name] += contribution_gram(patches, weights[name], channel_of[name])
            rows[name] += int(patches.shape[0])
    return {
        name: ChannelStatistics(gram, gram.sum(axis=1), float(gram.sum()), rows[name]) for name, gram in grams.items()
    }
