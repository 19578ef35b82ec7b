"""Search candidates of the learners that quantize weights: an integer number of bits per layer."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

import tf_keras as keras

from pocketflow.hp_optimizer import Layer, SearchProblem
from pocketflow.hp_optimizer.domain import Values
from pocketflow.hp_optimizer.problem import LayerCost
from pocketflow.learners.search.candidates import Candidates, layer_features
from pocketflow.learners.search.file_bytes import CONTAINER, codebook_bytes, grid_bytes, num_buckets, rest_bytes
from pocketflow.utils.quantization import BucketQuantizer, CodebookQuantizer, QuantizedKernel, strip_quantization
from pocketflow.utils.training.trainer import TrainerParts


class BitsCandidates(Candidates):
    """Candidates of a model with fake quantization, whose bit widths can be changed without rebuilding it.

    Args:
      model: the model with fake quantization, built for the greatest searched width; it is changed to each candidate.
      names: the searched layers.
      bits_range: least and greatest number of bits of a layer.
      mean_bits: budget in bits per weight over these layers.
      max_bytes: budget in bytes of the exported container, in place of `mean_bits`.
      parts: additions to training.
    """

    searched = 'bits'

    def __init__(
        self,
        model: keras.Model,
        names: Sequence[str],
        bits_range: tuple[int, int],
        mean_bits: float,
        max_bytes: int | None,
        parts: TrainerParts,
    ):
        self.model, self.parts = model, parts
        self._layers: dict[str, QuantizedKernel] = {name: model.get_layer(name) for name in names}
        shapes = {name: tuple(layer.kernel_variable.shape) for name, layer in self._layers.items()}
        self.sizes = {name: int(layer.kernel_variable.shape.num_elements()) for name, layer in self._layers.items()}
        features = layer_features(shapes)
        if max_bytes is None:
            costs, budget = self._bit_costs(mean_bits)
        else:
            costs, budget = self._byte_costs(max_bytes)
        self.domain = SearchProblem(
            [Layer(name, *bits_range, costs[name], features[name]) for name in names],
            budget,
            integer=True,
            describe=self._describe,
        )

    def _bit_costs(self, mean_bits: float) -> tuple[dict[str, LayerCost], float]:
        total = sum(self.sizes.values())
        self.cost_unit, self.budget = 'bits', f'{mean_bits:g} bits per weight'
        self._describe = lambda cost: f'a mean of {cost / total:.4g} bits per weight'
        return {name: functools.partial(operator.mul, size) for name, size in self.sizes.items()}, mean_bits * total

    def _byte_costs(self, max_bytes: int) -> tuple[dict[str, LayerCost], float]:
        rest = rest_bytes(strip_quantization(self.model)[0], self.sizes)
        self.cost_unit, self.budget = f'bytes of {CONTAINER}', f'a file of {max_bytes:,} bytes'
        self._describe = lambda cost: f'a file of {cost + rest:,.0f} bytes'
        return {name: self._byte_cost(name) for name in self.sizes}, max_bytes - rest

    def _byte_cost(self, name: str) -> LayerCost:
        quantizer, shape = self._layers[name].quantizer, tuple(self._layers[name].kernel_variable.shape)
        assert isinstance(quantizer, BucketQuantizer | CodebookQuantizer), 'of a kernel'
        formula = codebook_bytes if isinstance(quantizer, CodebookQuantizer) else grid_bytes
        count = num_buckets(quantizer.buckets, shape)
        return lambda bits: formula(self.sizes[name], bits, count)

    def apply(self, values: Values) -> None:
        for name, layer in self._layers.items():
            layer.set_bits(int(values[name]))
