"""Contributions of the input channels to a layer's output in the full model, summed up in one pass over the data.

He, Zhang and Sun 2017, "Channel Pruning for Accelerating Very Deep Neural Networks", https://arxiv.org/abs/1707.06168,
equation (2): with Z_i = P_i W_i the part of the output Y that comes from channel i, G_ij = <Z_i, Z_j>, h_i = <Z_i, Y>.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import tf_keras as keras

from pocketflow.learners.channel_pruning.grams import blockwise_gram
from pocketflow.learners.channel_pruning.layerwise import LayerwiseRun
from pocketflow.learners.channel_pruning.linear_forms import draw_places, known_linear_form
from pocketflow.learners.channel_pruning.sampling import CHUNK_BYTES, PEAK, input_shapes
from pocketflow.utils.channels import ReaderChannels
from pocketflow.utils.channels.identities import trace
from pocketflow.utils.tasks.nests import Nest, in_batches, take

BATCH_SIZE = 50
"""Most images that are run together; fewer, if their feature maps would take more than `CHUNK_BYTES`."""


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


def images_at_once(map_bytes: int) -> int:
    """Number of images that are run together, for the size of the feature maps of one image.

    >>> images_at_once(1000), images_at_once(2**26), images_at_once(2**30)
    (50, 4, 1)
    """
    return min(BATCH_SIZE, max(1, CHUNK_BYTES // map_bytes))


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
    channel_of = {name: form.channel_of(readers[name].positions) for name, form in forms.items()}
    grams = {name: np.zeros((reader.num_channels, reader.num_channels)) for name, reader in readers.items()}
    rows = dict.fromkeys(readers, 0)
    _, held = input_shapes(graph, readers, take(images, slice(1)))
    for batch in in_batches(images, images_at_once(PEAK * held)):
        run = LayerwiseRun(graph, [batch])
        for name, form in forms.items():
            run.run_until(name)
            inputs = run.input_of(name)[0]
            patches = form.patches(inputs, draw_places(rng, form.output_size(inputs.shape), num_positions))
            grams[name] += blockwise_gram(patches, form.weights(), channel_of[name], form.blocks())
            rows[name] += int(patches.shape[0])
    return {
        name: ChannelStatistics(gram, gram.sum(axis=1), float(gram.sum()), rows[name]) for name, gram in grams.items()
    }
