"""Spaces of independent parameters, FLOAT, INT, LOG10 and CHOICE, and orders between them.

`ws_iter_ratio_end >= ws_iter_ratio_beg` holds for every candidate by construction: the larger parameter is drawn from
the part of its range above the smaller one.
"""

from __future__ import annotations

import dataclasses
import enum
import graphlib
import math
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from pocketflow.hp_optimizer.domain import Domain, Value, Values, as_number
from pocketflow.utils.errors import UsageError


class Kind(enum.Enum):
    """Type and scale of a parameter."""

    FLOAT = 'float'
    INT = 'int'
    LOG10 = 'log10'
    CHOICE = 'choice'


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One searched parameter.

    Attributes:
      name: its name, that of the flag that it sets.
      kind: FLOAT and LOG10 are real numbers (LOG10 is uniform in the exponent), INT whole, CHOICE one of `choices`.
      low, high: inclusive bounds of a number.
      choices: the accepted values of a CHOICE; ordered values should be listed in their order.
      whole: whether the values of a LOG10 are rounded to whole numbers.

    Raises:
      UsageError: the bounds or choices are empty or invalid.
    """

    name: str
    kind: Kind
    low: float = 0.0
    high: float = 1.0
    choices: tuple[Value, ...] = ()
    whole: bool = False

    def __post_init__(self) -> None:
        if self.kind is Kind.CHOICE:
            if len(self.choices) < 2 or len(set(self.choices)) < len(self.choices):
                self._refuse(f'choice {list(self.choices)}: give two or more different values')
            return
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            self._refuse(f'low {self.low:g} and high {self.high:g}: low must be less than high')
        if self.kind is Kind.LOG10 and self.low <= 0:
            self._refuse(f'low {self.low:g}: a log10 range must begin above 0')
        if self.is_whole and (self.low != round(self.low) or self.high != round(self.high)):
            self._refuse(f'low {self.low:g} and high {self.high:g}: the bounds of whole numbers must be whole')

    def _refuse(self, text: str) -> None:
        raise UsageError(f'search space, {self.name}: {text}')

    @property
    def is_whole(self) -> bool:
        return self.kind is Kind.INT or self.whole

    def decode(self, share: float, low: float, high: float) -> Value:
        """The value at `share` in [0, 1] of the range from `low` to `high`, which is part of the parameter's range."""
        if self.kind is Kind.CHOICE:
            return self.choices[min(int(share * len(self.choices)), len(self.choices) - 1)]
        if self.kind is Kind.INT:
            return min(int(low) + int(share * (high - low + 1)), int(high))
        if self.kind is Kind.LOG10:
            value = 10 ** (math.log10(low) + share * (math.log10(high) - math.log10(low)))
            return int(min(max(round(value), low), high)) if self.whole else min(max(value, low), high)
        return min(max(low + share * (high - low), low), high)

    def encode(self, value: Value, low: float, high: float) -> float:
        """The share in [0, 1] that decodes to `value`; for a whole number or a choice the middle of its interval."""
        if self.kind is Kind.CHOICE:
            return (self.choices.index(value) + 0.5) / len(self.choices)
        if self.kind is Kind.INT:
            return (as_number(value) - low + 0.5) / (high - low + 1)
        if low == high:
            return 0.5
        if self.kind is Kind.LOG10:
            return (math.log10(as_number(value)) - math.log10(low)) / (math.log10(high) - math.log10(low))
        return (as_number(value) - low) / (high - low)

    def accepts(self, value: object) -> bool:
        """Whether `value` has the right type and is within the bounds."""
        if self.kind is Kind.CHOICE:
            return value in self.choices
        kind = numbers.Integral if self.is_whole else numbers.Real
        is_number = isinstance(value, kind) and not isinstance(value, bool)
        return is_number and self.low <= cast(float, value) <= self.high

    def description(self) -> dict[str, Any]:
        if self.kind is Kind.CHOICE:
            return {'type': 'choice', 'choice': list(self.choices)}
        return {'type': self.kind.value, 'low': self.low, 'high': self.high, 'whole': self.is_whole}


@dataclasses.dataclass(frozen=True)
class Order:
    """`larger >= smaller` holds for every candidate."""

    larger: str
    smaller: str

    def __str__(self) -> str:
        return f'{self.larger} >= {self.smaller}'


class SearchSpace(Domain):
    """A search space: parameters with ranges, and order constraints between numbers.

    Args:
      parameters: the searched parameters.
      orders: order constraints between numeric parameters.
      cost: cost of a candidate in any unit, recorded for comparisons; it does not restrict the candidates.

    Raises:
      UsageError: a duplicate name, or an order that is circular, unsatisfiable or has an unknown name.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        orders: Iterable[Order] = (),
        cost: Callable[[Mapping[str, Value]], float | None] | None = None,
    ):
        self._cost = cost
        self.parameters = {parameter.name: parameter for parameter in parameters}
        self.orders = tuple(orders)
        self.names = tuple(self.parameters)
        if not parameters or len(self.names) < len(parameters):
            raise UsageError(
                'search space: give one or more parameters of different names, not '
                f'{[parameter.name for parameter in parameters]}'
            )
        for order in self.orders:
            self._check_order(order)
        self._smaller = {name: [order.smaller for order in self.orders if order.larger == name] for name in self.names}
        self._sequence = self._sorted()
        self._bounds = self._tight_bounds()

    def _check_order(self, order: Order) -> None:
        for name in (order.larger, order.smaller):
            if name not in self.parameters:
                raise UsageError(
                    f'search space, constraint {order}: {name} is no parameter; known: {", ".join(self.names)}'
                )
            if self.parameters[name].kind is Kind.CHOICE:
                raise UsageError(f'search space, constraint {order}: {name} is a choice; only numbers have an order')

    def _sorted(self) -> tuple[str, ...]:
        try:
            return tuple(graphlib.TopologicalSorter(self._smaller).static_order())
        except graphlib.CycleError as error:
            raise UsageError(f'search space: the constraints go in a circle: {" >= ".join(error.args[1])}') from None

    def _tight_bounds(self) -> dict[str, tuple[float, float]]:
        """Bounds within which any value of one parameter leaves a non-empty range for the others."""
        low = {name: self.parameters[name].low for name in self.names}
        high = {name: self.parameters[name].high for name in self.names}
        for name in self._sequence:
            low[name] = max([low[name], *(low[other] for other in self._smaller[name])])
        for name in reversed(self._sequence):
            for other in self._smaller[name]:
                high[other] = min(high[other], high[name])
        bad = next((order for order in self.orders if low[order.larger] > high[order.larger]), None)
        if bad is not None:
            raise UsageError(
                f'search space: no candidate satisfies {bad}: {bad.larger} ends at '
                f'{self.parameters[bad.larger].high:g}, {bad.smaller} begins at {low[bad.smaller]:g}'
            )
        return {name: (low[name], high[name]) for name in self.names}

    def _range(self, name: str, values: Mapping[str, Value]) -> tuple[float, float]:
        """The part of a parameter's range above the values of the parameters that must not exceed it."""
        low, high = self._bounds[name]
        low = max([low, *(as_number(values[other]) for other in self._smaller[name])])
        return (math.ceil(low) if self.parameters[name].is_whole else low), high

    def decode(self, point: np.ndarray) -> Values:
        shares = dict(zip(self.names, map(float, point), strict=True))
        values: Values = {}
        for name in self._sequence:
            low, high = self._range(name, values)
            values[name] = self.parameters[name].decode(shares[name], low, high)
        return {name: values[name] for name in self.names}

    def encode(self, values: Mapping[str, Value]) -> np.ndarray:
        self._check(values)
        return np.clip(
            [self.parameters[name].encode(values[name], *self._range(name, values)) for name in self.names], 0.0, 1.0
        )

    def _check(self, values: Mapping[str, Value]) -> None:
        if set(values) != set(self.names):
            raise UsageError(f'a candidate has values for {", ".join(self.names)}, not for {", ".join(values)}')
        for name, parameter in self.parameters.items():
            if not parameter.accepts(values[name]):
                raise UsageError(f'{name}={values[name]!r} is outside the search space {parameter.description()}')
        for order in self.orders:
            if as_number(values[order.larger]) < as_number(values[order.smaller]):
                raise UsageError(f'the candidate breaks {order}: {values[order.larger]} < {values[order.smaller]}')

    def cost(self, values: Mapping[str, Value]) -> float | None:
        cost = None if self._cost is None else self._cost(values)
        return None if cost is None else float(cost)

    def description(self) -> dict[str, Any]:
        return {
            'parameters': [[name, parameter.description()] for name, parameter in self.parameters.items()],
            'constraints': [str(order) for order in self.orders],
        }
