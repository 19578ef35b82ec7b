"""A metric of an evaluation: name, direction, unit and format."""

from __future__ import annotations

import dataclasses
from typing import Any

from pocketflow.utils.reports import number_format as figures
from pocketflow.utils.runs.records import Record

TOLERATED_SHARE = 0.01
"""A loss of quality up to this is called small: one point of a share, 1 % of the value of other metrics."""

SHAPE = {'name': str, 'label': str, 'higher_is_better': bool, 'is_share': bool, 'unit': str}
"""Shape of a metric in a report; see `pocketflow.utils.runs.records`."""


@dataclasses.dataclass(frozen=True)
class Metric:
    """A metric that is computed over the whole evaluation set.

    Attributes:
      name: key in records, such as `accuracy`.
      label: name in tables and sentences, such as `mean absolute error`; default: the name.
      higher_is_better: direction.
      is_share: whether values are shares in [0, 1], shown in per cent, with changes in points.
      unit: unit of other values, such as `px`; may be empty.
    """

    name: str
    label: str = ''
    higher_is_better: bool = True
    is_share: bool = False
    unit: str = ''

    def __post_init__(self) -> None:
        object.__setattr__(self, 'label', self.label or self.name)

    @classmethod
    def from_json(cls, record: Record) -> Metric:
        return cls(**{field.name: record[field.name] for field in dataclasses.fields(cls)})

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @property
    def scale(self) -> float:
        """Factor from values to what is shown: 100 for shares."""
        return 100.0 if self.is_share else 1.0

    @property
    def axis(self) -> str:
        """Title of a chart's axis of values."""
        unit = '%' if self.is_share else self.unit
        return f'{self.label} ({unit})' if unit else self.label

    def quality(self, value: float) -> float:
        """A number that is larger for better values: the value, or its negative if smaller is better."""
        return value if self.higher_is_better else -value

    def drop(self, before: float, after: float) -> float:
        """By how much `after` is worse than `before`; negative if it is better."""
        return self.quality(before) - self.quality(after)

    def is_tolerated(self, before: float, drop: float) -> bool:
        """Whether a drop is at most one point of a share, or 1 % of the former value of another metric."""
        return drop <= (TOLERATED_SHARE if self.is_share else TOLERATED_SHARE * abs(before))

    def text(self, value: float | None) -> str:
        """A value for pages: `91.25 %`, `0.3020 px`."""
        if value is None:
            return figures.MISSING
        return figures.percent(value) if self.is_share else with_unit(plain(value), self.unit)

    def change(self, before: float | None, after: float | None) -> str:
        """`-0.80 points` for shares, the signed difference with the unit for others; empty if a value is missing."""
        if before is None or after is None:
            return ''
        if self.is_share:
            return f'{figures.signed(100 * (after - before), 2)} points'
        return with_unit(figures.signed(after - before, 4), self.unit)

    def drop_words(self, drop: float) -> str:
        """`drop 1.20 points`, `gain 0.10 points`; of other metrics `0.0120 px worse`, `1.20 points better`."""
        digits = 2 if self.is_share else 4
        amount = figures.rounded(self.scale * drop, digits)
        text = with_unit(f'{abs(amount):.{digits}f}', 'points' if self.is_share else self.unit)
        if self.is_share and self.higher_is_better:
            return f'{"drop" if amount >= 0 else "gain"} {text}'
        return f'{text} {"worse" if amount >= 0 else "better"}'


ACCURACY = Metric('accuracy', is_share=True)
"""Share of the samples whose largest output is that of their label."""


def plain(value: float) -> str:
    """Four decimals, or four significant digits for values of 1,000 and more."""
    return f'{value:.4f}' if abs(value) < 1000 else f'{value:,.4g}'


def with_unit(text: str, unit: str) -> str:
    return f'{text} {unit}' if unit else text
