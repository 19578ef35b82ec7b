"""Synthetic networks: closed-form rewards on which optimizers are compared in milliseconds.

Accuracy falls with the compression error of each layer, weighted by the layer's sensitivity, as in the
second-order models of pruning and quantization (LeCun et al., Optimal Brain Damage, NIPS 1989): with a diagonal Hessian
the rise of the loss is a sum over layers of sensitivity times mean square error. A small interaction term couples
neighbouring layers: layer l + 1 reads the output of layer l.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pocketflow.hp_optimizer.domain import Value
from pocketflow.hp_optimizer.driver import Evaluate, TrialResult
from pocketflow.hp_optimizer.problem import Layer, SearchProblem

ACCURACY = 0.92
INTERACTION = 0.2


def sparsity_error(sparsity: float) -> float:
    """The share of a layer's squared norm in its smallest weights, for Laplace distributed weights.

    Magnitudes are exponential: a share `p` lies below `t = -ln(1 - p)`, and `integral_0^t x^2 e^-x dx / 2` is
    `1 - e^-t (1 + t + t^2 / 2)`.
    """
    if sparsity >= 1:
        return 1.0
    t = -math.log1p(-sparsity)
    return 1 - math.exp(-t) * (1 + t + t * t / 2)


def bits_error(bits: float) -> float:
    """The mean square error of a uniform quantizer relative to 1 bit: a factor of 1/4 per bit."""
    return 4.0 ** (1 - bits)


@dataclasses.dataclass(frozen=True)
class SyntheticNetwork:
    """Layers of given sizes and sensitivities.

    Attributes:
      sizes: number of weights of each layer.
      sensitivities: factor of each layer's error in the loss.
      error: a layer's value -> its relative error.
    """

    sizes: tuple[int, ...]
    sensitivities: tuple[float, ...]
    error: Callable[[float], float]

    def loss(self, values: Sequence[float]) -> float:
        """`sum_l e_l + INTERACTION * sum_l sqrt(e_l e_(l+1))` with `e_l = s_l * error(value_l)`."""
        errors = np.array([s * self.error(value) for s, value in zip(self.sensitivities, values, strict=True)])
        return float(errors.sum() + INTERACTION * np.sqrt(errors[:-1] * errors[1:]).sum())

    def accuracy(self, values: Mapping[str, Value]) -> float:
        """`ACCURACY * exp(-loss)` for values per layer, in the order of the layers."""
        return ACCURACY * math.exp(-self.loss([float(value) for value in values.values()]))


def formula(reward: Callable[[Mapping[str, Value]], float]) -> Evaluate:
    """Evaluates candidates by a formula, without tuning or screening."""
    return lambda values, floor: TrialResult(reward(values))


def make_network(
    error: Callable[[float], float], scale: float, num_layers: int = 20, seed: int = 0
) -> SyntheticNetwork:
    """A network with layer sizes from 1 to 256 times the first, and sensitivities over two and a half decades.

    `scale` is the largest sensitivity. Early layers tend to be more sensitive, as in real networks.
    """
    random = np.random.default_rng(seed)
    sizes = (432 * 256 ** np.linspace(0, 1, num_layers) * random.uniform(0.7, 1.3, num_layers)).astype(int)
    decades = -1.2 * np.linspace(0, 1, num_layers) - 1.3 * random.random(num_layers)
    return SyntheticNetwork(tuple(map(int, sizes)), tuple(scale * 10 ** (decades - decades.max())), error)


def _features(network: SyntheticNetwork, place: int) -> tuple[float, ...]:
    last = max(len(network.sizes) - 1, 1)
    return place / last, math.log(network.sizes[place]) / math.log(max(network.sizes))


def _num_left(size: int, sparsity: float) -> float:
    return size * (1 - sparsity)


def sparsity_problem(
    sparsity: float = 0.75, num_layers: int = 20, seed: int = 0
) -> tuple[SearchProblem, Callable[[Mapping[str, Value]], float]]:
    """The problem of per-layer sparsities with a mean of `sparsity` over all weights, and its reward function."""
    network = make_network(sparsity_error, 1.0, num_layers, seed)
    low, high = max(0.0, 1 - 3 * (1 - sparsity)), 1 - (1 - sparsity) / 3
    layers = [
        Layer(f'layer{place}', low, high, functools.partial(_num_left, size), _features(network, place))
        for place, size in enumerate(network.sizes)
    ]
    total = sum(network.sizes)
    return SearchProblem(
        layers, total * (1 - sparsity), describe=lambda cost: f'a sparsity of {1 - cost / total:.4g}'
    ), network.accuracy


def bits_problem(
    bits: float = 4, low: int = 2, high: int = 8, num_layers: int = 20, seed: int = 0
) -> tuple[SearchProblem, Callable[[Mapping[str, Value]], float]]:
    """The problem of per-layer bit widths with a mean of `bits` over all weights, and its reward function."""
    network = make_network(bits_error, 4.0, num_layers, seed)
    layers = [
        Layer(f'layer{place}', low, high, functools.partial(operator.mul, size), _features(network, place))
        for place, size in enumerate(network.sizes)
    ]
    total = sum(network.sizes)
    return SearchProblem(
        layers, total * bits, integer=True, describe=lambda cost: f'a mean of {cost / total:.4g} bits'
    ), network.accuracy
