"""Search problems with one value per layer under a budget for the whole network."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pocketflow.hp_optimizer import budget as budgets
from pocketflow.hp_optimizer.domain import Domain, Value, Values
from pocketflow.utils.errors import UsageError

LayerCost = Callable[[float], float]


@dataclasses.dataclass(frozen=True)
class Layer:
    """The searched value of one layer.

    Attributes:
      name: the layer's name.
      low, high: inclusive bounds of its value; equal bounds fix it.
      cost: cost of a value in this layer, monotone; None if only the whole network has a cost.
      features: static features for the agent, roughly in [0, 1]: size, position, kernel.
    """

    name: str
    low: float
    high: float
    cost: LayerCost | None = None
    features: tuple[float, ...] = ()


class SearchProblem(Domain):
    """A value per layer under a budget; every decoded candidate satisfies the budget and uses it up.

    The centre of the unit cube is the uniform solution; the lower half of each coordinate maps linearly to the range
    from the layer's lower bound to it, the upper half to the range up to the upper bound. `decode` applies `project`.

    Args:
      layers: the searched layers in the order of the network; all values have the same meaning (bits, sparsity).
      budget: largest cost of the whole network.
      integer: whether values are whole numbers.
      total_cost: cost of a candidate, monotone in each value, if it is not the sum of the layers' costs.
      describe: formats a cost for messages.

    Raises:
      UsageError: duplicate names, reversed bounds, or a budget out of reach.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        budget: float,
        *,
        integer: bool = False,
        total_cost: Callable[[Mapping[str, Value]], float] | None = None,
        describe: Callable[[float], str] = 'a cost of {:.6g}'.format,
    ):
        self.layers, self.budget, self.integer = tuple(layers), float(budget), integer
        self.names = tuple(layer.name for layer in layers)
        self._total_cost, self._describe = total_cost, describe
        self._check_layers()
        self._layer_costs = [layer.cost for layer in self.layers if layer.cost is not None]
        self.cheapest, self.dearest = self._ends()
        self._check_budget()
        self._weights = self._slopes()
        self._centre = self.real_uniform()

    def _check_layers(self) -> None:
        if not self.layers or len(set(self.names)) < len(self.names):
            raise UsageError(f'a search needs one or more layers of different names, not {list(self.names)}')
        for layer in self.layers:
            if not (math.isfinite(layer.low) and math.isfinite(layer.high) and layer.low <= layer.high):
                raise UsageError(f'layer {layer.name}: bounds {layer.low:g} to {layer.high:g} are reversed or infinite')
            if self.integer and (layer.low != round(layer.low) or layer.high != round(layer.high)):
                raise UsageError(f'layer {layer.name}: bounds {layer.low:g} to {layer.high:g} must be whole numbers')
            if self._total_cost is None and layer.cost is None:
                raise UsageError(f'layer {layer.name} has no cost, and the network no total_cost')

    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Each layer's cheapest and dearest value `[L]`; all layers have the same direction."""
        low = np.array([layer.low for layer in self.layers], float)
        high = np.array([layer.high for layer in self.layers], float)
        return (low, high) if self.total_cost(low) <= self.total_cost(high) else (high, low)

    def _check_budget(self) -> None:
        least, most = self.reachable_range()
        if not budgets.is_affordable(least, self.budget):
            raise UsageError(
                f'{self._describe(self.budget)} is out of reach: with the bounds of these '
                f'{len(self.layers)} layers from {self._describe(least)} to {self._describe(most)} is '
                'reachable'
            )

    def reachable_range(self) -> tuple[float, float]:
        """The costs with all layers at their cheapest and at their dearest value."""
        return self.total_cost(self.cheapest), self.total_cost(self.dearest)

    @property
    def is_additive(self) -> bool:
        """Whether the total cost is the sum of the layers' costs."""
        return self._total_cost is None

    def _step_cost(self, values: np.ndarray, place: int, value: float) -> float:
        cost = self._layer_costs[place]
        return cost(value) - cost(values[place])

    def total_cost(self, values: np.ndarray) -> float:
        """Cost of the network with `values` `[L]`, in the order of the layers."""
        if self._total_cost is not None:
            return float(self._total_cost(self._named(values)))
        return float(sum(cost(value) for cost, value in zip(self._layer_costs, values.tolist(), strict=True)))

    def cost(self, values: Mapping[str, Value]) -> float:
        return self.total_cost(self._array(values))

    def project(self, values: Mapping[str, Value]) -> Values:
        """Projects arbitrary numbers onto the candidates, which are within the bounds and use up the budget.

        Each layer's value changes in proportion to its cost per unit. Real values then use the budget to within
        `budget.TOLERANCE`; of whole numbers none can be made one step dearer. Candidates are returned unchanged.
        """
        return self._named(self._project(self._array(values)))

    def _project(self, values: np.ndarray) -> np.ndarray:
        real = budgets.shift_to_budget(values, self.cheapest, self.dearest, self._weights, self.total_cost, self.budget)
        if not self.integer:
            return real
        return budgets.round_to_budget(
            real,
            self.cheapest,
            self.dearest,
            self.total_cost,
            self.budget,
            self._step_cost if self.is_additive else None,
        )

    def real_uniform(self) -> np.ndarray:
        """The common real value of all layers, clipped to their bounds, that uses the budget: `[L]`."""
        start = np.full(len(self.layers), self.dearest.mean())
        return budgets.shift_to_budget(
            start, self.cheapest, self.dearest, np.ones(len(self.layers)), self.total_cost, self.budget
        )

    def _slopes(self) -> np.ndarray:
        """Cost per unit of value over each layer's range, relative to the largest, `[L]`."""
        width = np.abs(self.dearest - self.cheapest)
        rise = np.zeros(len(self.layers))
        for place in np.flatnonzero(width):
            dear = self.cheapest.copy()
            dear[place] = self.dearest[place]
            rise[place] = (self.total_cost(dear) - self.total_cost(self.cheapest)) / width[place]
        return np.maximum(rise / rise.max(), 1e-6) if rise.any() else np.ones(len(self.layers))

    def uniform(self) -> Values:
        """The candidate nearest to equal values in all layers."""
        return self._named(self._project(self._centre))

    def decode(self, point: np.ndarray) -> Values:
        return self._named(self._project(self.from_unit(point)))

    def encode(self, values: Mapping[str, Value]) -> np.ndarray:
        self._check(values)
        return self.to_unit(self._array(values))

    def from_unit(self, point: np.ndarray) -> np.ndarray:
        """Values `[L]` at a point of the unit cube, before the projection."""
        low, high = np.minimum(self.cheapest, self.dearest), np.maximum(self.cheapest, self.dearest)
        offset = 2 * np.asarray(point, float) - 1
        return self._centre + np.where(offset < 0, offset * (self._centre - low), offset * (high - self._centre))

    def to_unit(self, values: np.ndarray) -> np.ndarray:
        """The inverse of `from_unit`."""
        low, high = np.minimum(self.cheapest, self.dearest), np.maximum(self.cheapest, self.dearest)
        offset = values - self._centre
        width = np.where(offset < 0, self._centre - low, high - self._centre)
        return np.clip(0.5 + 0.5 * offset / np.where(width > 0, width, np.inf), 0.0, 1.0)

    def static_features(self) -> np.ndarray:
        return np.array([layer.features for layer in self.layers], float)

    def step_features(self, values: Mapping[str, Value]) -> np.ndarray:
        """The used share of the free budget, and the affordable share of the undecided layers' ranges: `[2]`.

        The free budget is the budget less the cost of all layers at their cheapest. The second share is 1 if all
        undecided layers can take their dearest value, and 0 if all must take their cheapest.
        """
        known = np.array([name in values for name in self.names])
        array = np.array([values.get(name, np.nan) for name in self.names], float)
        floor = self.total_cost(self.cheapest)
        least = self.total_cost(np.where(known, array, self.cheapest))
        most = self.total_cost(np.where(known, array, self.dearest))
        return np.clip([_share(least - floor, self.budget - floor), _share(self.budget - least, most - least)], 0, 1)

    def description(self) -> dict[str, Any]:
        rows = [[layer.name, layer.low, layer.high] for layer in self.layers]
        costs = [self.total_cost(self.cheapest), self.total_cost(self.dearest), self.total_cost(self._centre)]
        return {'layers': rows, 'integer': self.integer, 'budget': self.budget, 'costs': costs}

    def _check(self, values: Mapping[str, Value]) -> None:
        if set(values) != set(self.names):
            raise UsageError(f'a candidate has values for {", ".join(self.names)}, not for {", ".join(values)}')
        kind = numbers.Integral if self.integer else numbers.Real
        for layer in self.layers:
            value = values[layer.name]
            if not isinstance(value, kind) or not layer.low <= value <= layer.high:
                raise UsageError(
                    f'layer {layer.name}: {value!r} is not {"a whole number" if self.integer else "one"} '
                    f'in {layer.low:g}..{layer.high:g}'
                )
        cost = self.cost(values)
        if not budgets.is_affordable(cost, self.budget):
            raise UsageError(f'the candidate, {self._describe(cost)}, is over {self._describe(self.budget)}')

    def _array(self, values: Mapping[str, Value]) -> np.ndarray:
        return np.array([values[name] for name in self.names], float)

    def _named(self, values: np.ndarray) -> Values:
        kind = int if self.integer else float
        return {name: kind(value) for name, value in zip(self.names, values.tolist(), strict=True)}


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0
