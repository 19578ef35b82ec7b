"""Layout of the charts in `report.html`: pure geometry, drawn as SVG by the page's template.

All positions are SVG user units from the upper left corner; one unit is one CSS pixel at full size.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from pocketflow.utils.reports.number_format import compact
from pocketflow.utils.runs.records import Record
from pocketflow.utils.tasks.metric import Metric

CHARACTER_WIDTH = 7.2
"""Upper estimate of the average character width at font size 12, since the font is not known."""

LINE_HEIGHT = 15
MARKER_RADIUS = 6

EDGE = 1.04
"""Length of the cost axis as a multiple of the largest cost."""

LONGEST_LABEL = 30
"""Maximum length of a layer's name in the layer chart; tooltip and table show the full name."""

DESCRIBED = 100
"""Maximum number of layers in the chart's text description; the table shows all of them."""


@dataclasses.dataclass(frozen=True)
class Point:
    """A file in a trade-off chart: cost (bytes or milliseconds) and value of the primary metric."""

    name: str
    cost: float
    value: float
    uncompressed: bool = False


@dataclasses.dataclass(frozen=True)
class Tick:
    """A grid line: position and label."""

    at: float
    label: str


@dataclasses.dataclass(frozen=True)
class Box:
    """A rectangle by its left, top, right and bottom."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def inside(self, other: Box) -> bool:
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


@dataclasses.dataclass(frozen=True)
class Label:
    """Position and anchor (`start`, `middle`, `end`) of a label's baseline, and whether it needs a leader line."""

    x: float
    y: float
    anchor: str
    displaced: bool


@dataclasses.dataclass(frozen=True)
class Marker:
    """A drawn point with label and tooltip."""

    x: float
    y: float
    name: str
    tip: str
    label: Label
    uncompressed: bool


@dataclasses.dataclass(frozen=True)
class Scatter:
    """Scatter chart of a metric (y) over cost (x); `better` says in which direction values improve."""

    title: str
    x_title: str
    width: int
    height: int
    plot: Box
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    y_title: str
    better: str
    markers: Sequence[Marker]
    description: str


@dataclasses.dataclass(frozen=True)
class Bars:
    """One layer: top of its row, name, both bar lengths, and the texts beside them."""

    top: float
    name: str
    label: str
    before: float
    after: float
    macs: str
    kept: str


@dataclasses.dataclass(frozen=True)
class LayerChart:
    """Chart with two bars per layer: before and after."""

    width: float
    height: float
    bars_at: float
    macs_at: float
    kept_at: float
    rows: Sequence[Bars]
    description: str


def nice_step(span: float, intervals: int) -> float:
    """The smallest of 1, 2, 2.5 and 5 times a power of ten that covers `span` (above 0) in `intervals` steps."""
    power = 10.0 ** math.floor(math.log10(span / intervals))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10, 20) if factor * power * intervals >= span * (1 - 1e-9))


def ticks_between(low: float, high: float, intervals: int) -> list[float]:
    """Round values from the last one at or below `low` to the first one at or above `high`."""
    step = nice_step(high - low, intervals)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * index, 12) for index in range(first, last + 1)]


def decimals(values: Sequence[float]) -> int:
    """Number of decimals that distinguishes all the values."""
    return next(
        (
            digits
            for digits in range(6)
            if all(math.isclose(round(value, digits), value, abs_tol=1e-9) for value in values)
        ),
        6,
    )


def scatter(
    points: Sequence[Point], title: str, x_title: str, unit: Callable[[float], tuple[float, str]], metric: Metric
) -> Scatter:
    """Lays out a scatter chart of files; the cost axis begins at zero, so that lengths are proportional to costs.

    Args:
      points: the files; those without a finite cost and value are left out.
      title, x_title: titles of the chart and of its cost axis; the axis' unit is added.
      unit: function from the largest cost to the size and name of the axis' unit: `(1e6, 'MB')`.
      metric: what the values are.
    """
    points = [point for point in points if math.isfinite(point.cost) and math.isfinite(point.value)]
    scale, unit_name = unit(max((point.cost for point in points), default=1))
    xs = ticks_between(0, EDGE * max((point.cost for point in points), default=0) / scale or 1, 5)
    ys = _value_ticks([metric.scale * point.value for point in points], metric.is_share)
    plot = Box(left=58, top=14, right=506, bottom=286)
    places = [
        (
            between(point.cost / scale, xs, plot.left, plot.right),
            between(metric.scale * point.value, ys, plot.bottom, plot.top),
        )
        for point in points
    ]
    tips = [f'{point.name}: {point.cost / scale:.3g} {unit_name}, {metric.text(point.value)}' for point in points]
    return Scatter(
        title,
        f'{x_title} ({unit_name})',
        width=520,
        height=334,
        plot=plot,
        x_ticks=axis_ticks(xs, plot.left, plot.right),
        y_ticks=axis_ticks(ys, plot.bottom, plot.top),
        y_title=metric.axis,
        better='up' if metric.higher_is_better else 'down',
        markers=_markers(points, places, tips, plot),
        description='; '.join(tips),
    )


def _value_ticks(values: Sequence[float], is_percentage: bool) -> list[float]:
    # The axis spans at least one point, or 1 % of the largest value; a smaller span would magnify noise.
    low, high = min(values, default=0), max(values, default=100)
    least = 1.0 if is_percentage else 0.01 * max(abs(low), abs(high)) or 1.0
    margin = max(0.12 * (high - low), (least - (high - low)) / 2)
    if not is_percentage:
        return ticks_between(low - margin, high + margin, 5)
    return ticks_between(max(low - margin, 0), min(high + margin, 100), 5)


def axis_ticks(values: Sequence[float], first: float, last: float) -> list[Tick]:
    """A grid line per value, evenly spaced from position `first` to `last`."""
    digits = decimals(values)
    return [Tick(between(value, values, first, last), f'{value:.{digits}f}') for value in values]


def between(value: float, ticks: Sequence[float], first: float, last: float) -> float:
    """Position of a value on an axis whose first tick is at position `first` and whose last one is at `last`."""
    return round(first + (last - first) * (value - ticks[0]) / (ticks[-1] - ticks[0]), 1)


def _markers(
    points: Sequence[Point], places: Sequence[tuple[float, float]], tips: Sequence[str], plot: Box
) -> list[Marker]:
    labels = place_labels(places, [point.name for point in points], plot)
    return [
        Marker(x, y, point.name, tip, label, point.uncompressed)
        for point, (x, y), tip, label in zip(points, places, tips, labels, strict=True)
    ]


def place_labels(places: Sequence[tuple[float, float]], names: Sequence[str], plot: Box) -> list[Label]:
    """Places one label per point.

    Labels avoid the markers, each other and the plot's edge as long as there is room nearby.
    """
    radius = MARKER_RADIUS
    taken = [Box(x - radius, y - radius, x + radius, y + radius) for x, y in places]
    labels = []
    for place, name in zip(places, names, strict=True):
        width = CHARACTER_WIDTH * len(name)
        candidates = [(label, _label_box(label, width)) for label in _candidates(*place)]
        label, box = next(
            (
                candidate
                for candidate in candidates
                if candidate[1].inside(plot) and not any(candidate[1].overlaps(other) for other in taken)
            ),
            candidates[0],
        )
        taken.append(box)
        labels.append(label)
    return labels


def _candidates(x: float, y: float) -> list[Label]:
    gap, baseline = MARKER_RADIUS + 3, y + 4
    near = [
        Label(x + gap, baseline, 'start', False),
        Label(x - gap, baseline, 'end', False),
        Label(x, y - gap - 2, 'middle', False),
        Label(x, y + gap + 11, 'middle', False),
    ]
    shifts = [sign * LINE_HEIGHT * steps for steps in range(1, 7) for sign in (-1, 1)]
    return near + [
        Label(x + sign * 2 * gap, baseline + shift, anchor, True)
        for shift in shifts
        for sign, anchor in ((1, 'start'), (-1, 'end'))
    ]


def _label_box(label: Label, width: float) -> Box:
    left = label.x - {'start': 0, 'middle': width / 2, 'end': width}[label.anchor]
    return Box(left, label.y + 4 - LINE_HEIGHT, left + width, label.y + 4)


def layer_chart(rows: Sequence[Record]) -> LayerChart:
    """Lays out the multiply-accumulates of each layer before and after, scaled to the largest layer.

    Args:
      rows: a report's `layers`: `layer`, `macs` as [before, after], `inputs` likewise or absent.
    """
    labels = [shortened(row['layer'], LONGEST_LABEL) for row in rows]
    bars_at = 12 + math.ceil(CHARACTER_WIDTH * max(map(len, labels), default=0))
    macs_at = max(640, bars_at + 300)
    longest = max((max(row['macs']) for row in rows), default=0) or 1
    scale = (macs_at - bars_at - 16) / longest
    bars = [
        _bars(row, label, 30 + 24 * index, scale) for index, (row, label) in enumerate(zip(rows, labels, strict=True))
    ]
    shown = [f'{bar.name} {bar.macs}' for bar in bars[:DESCRIBED]] + ['...'] * (len(bars) > DESCRIBED)
    return LayerChart(
        width=macs_at + 270,
        height=34 + 24 * len(bars),
        bars_at=bars_at,
        macs_at=macs_at,
        kept_at=macs_at + 160,
        rows=bars,
        description='; '.join(shown),
    )


def _bars(row: Record, label: str, top: float, scale: float) -> Bars:
    before, after = row['macs']
    return Bars(
        top,
        row['layer'],
        label,
        _length(before, scale),
        _length(after, scale),
        macs=arrow(compact(before), compact(after)),
        kept=kept(row, 'inputs'),
    )


def _length(value: float, scale: float) -> float:
    return round(max(value * scale, 1.0), 1) if value else 0.0


def arrow(before: str, after: str) -> str:
    """`before → after`, or one value if both are equal."""
    return f'{before} → {after}' if before != after else before


def kept(row: Record, key: str) -> str:
    """`8 of 16` channels; '' if the row has no such entry."""
    return f'{row[key][1]:,} of {row[key][0]:,}' if row.get(key) else ''


def shortened(text: str, longest: int) -> str:
    """Truncates a text in the middle, where names of layers differ least."""
    half = (longest - 1) // 2
    return text if len(text) <= longest else f'{text[:half]}…{text[-half:]}'
