"""The regressions of the layers of a model, in the order of execution."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import tf_keras as keras

from pocketflow.learners.channel_pruning.refit import LayerRegression
from pocketflow.learners.channel_pruning.sampling import LayerSampler
from pocketflow.utils.channels import ReaderChannels
from pocketflow.utils.tasks.nests import Nest


@dataclasses.dataclass(frozen=True)
class Sampling:
    """Settings for sampling layers, for selection and re-fitting.

    Attributes:
      images: float32 `[N, height, width, channels]`; several inputs are a dict or tuple of arrays.
      num_positions: output positions per image and layer.
      ridge: damping of the least squares.
      seed: draws the positions, and the channels of the selector `random`.
    """

    images: Nest
    num_positions: int
    ridge: float
    seed: int

    def regressions(
        self, full: keras.Model, pruned: keras.Model, readers: Mapping[str, ReaderChannels]
    ) -> Iterator[tuple[str, LayerRegression]]:
        """Yields (name, regression) of each layer.

        The caller must set a layer's weights in `pruned`, a copy of `full`, before it requests the next layer.
        """
        sampler = LayerSampler(
            full, pruned, list(readers), self.images, self.num_positions, np.random.default_rng(self.seed)
        )
        for name, reader in readers.items():
            yield name, LayerRegression.of(pruned, reader, sampler.equations(name), self.ridge)
