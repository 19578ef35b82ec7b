"""Sensitivity curves in a report: what an entry of its `curves` holds, and the layout of their charts.

Each curve shows the primary metric on held-out samples against the share of channels that a group of layers keeps, all
other layers as they are; the chosen point is marked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from pocketflow.utils.reports import number_format as figures
from pocketflow.utils.reports.charts import (
    LONGEST_LABEL,
    Box,
    Tick,
    arrow,
    axis_ticks,
    between,
    shortened,
    ticks_between,
)
from pocketflow.utils.runs.records import Number, Record
from pocketflow.utils.tasks.metric import SHAPE as METRIC_SHAPE
from pocketflow.utils.tasks.metric import Metric

_QUALITY = {'loss': Number(), 'metric': Number()}
SHAPE = {
    'learner': str,
    'selector': str,
    'method': str,
    'cost_unit': str,
    'budget': Number(above=0),
    'cost': [Number(low=0), Number(low=0)],
    'seconds': Number(low=0),
    'num_images': int,
    'metric': METRIC_SHAPE,
    'whole': _QUALITY,
    'groups': [
        {'layers': [str], 'size': Number(above=0), 'chosen': Number(low=0), 'points': [{'kept': int, **_QUALITY}]}
    ],
}
"""Shape of an entry when read from a file; see `pocketflow.utils.runs.records`."""

MOST_CHARTS = 24
"""Charts of the most sensitive groups; the table shows all groups."""
WIDTH, HEIGHT = 250, 190


@dataclasses.dataclass(frozen=True)
class Panel:
    """The chart of one group.

    Attributes:
      name, label: its first layer; the label may be shortened.
      more: number of further layers.
      path: SVG path through the measured points.
      dots: positions and tooltips of the measured points.
      chosen: x and y of the chosen share, on the path; `chosen_tip`: its tooltip.
    """

    name: str
    label: str
    more: int
    plot: Box
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    path: str
    dots: Sequence[tuple[float, float, str]]
    chosen: tuple[float, float]
    chosen_tip: str
    description: str


@dataclasses.dataclass(frozen=True)
class CurveRow:
    """One group in the table: layers, channels, and the metric at each measured share as texts."""

    layers: str
    chosen: str
    share: str
    values: Sequence[str]


@dataclasses.dataclass(frozen=True)
class CurvesSection:
    """Template variables of one entry."""

    name: str
    outcome: str
    facts: str
    y_title: str
    panels: Sequence[Panel]
    rows: Sequence[CurveRow]
    shares: Sequence[str]
    width: int = WIDTH
    height: int = HEIGHT


def curve_sections(report: Record) -> list[CurvesSection]:
    """One section per entry of the report's `curves`; none in reports without this key."""
    return [curves_section(entry) for entry in report.get('curves') or ()]


def outcome(entry: Record) -> str:
    """One line: how the budget was distributed, and the cost before and after."""
    before, after = entry['cost']
    return (
        f'{entry["method"]}: {arrow(figures.compact(before), figures.compact(after))} {entry["cost_unit"]} '
        f'({after / before:.1%}; budget {entry["budget"] / before:.1%})'
    )


def curves_section(entry: Record) -> CurvesSection:
    """Charts, table and sentences on the curves of one learner."""
    metric, groups = Metric.from_json(entry['metric']), entry['groups']
    ranked = sorted(groups, key=lambda group: -_worst_drop(group, entry['whole'], metric))
    drawn = [group for group in groups if group in ranked[:MOST_CHARTS]]
    values = [metric.scale * point['metric'] for group in groups for point in group['points']]
    ys = _value_ticks([*values, metric.scale * entry['whole']['metric']])
    left_out = f' The charts show the {len(drawn)} most sensitive of them.' if len(drawn) < len(groups) else ''
    shares = sorted({round(point['kept'] / group['size'], 3) for group in groups for point in group['points']})
    return CurvesSection(
        name=f'{metric.label} against channels kept, {entry["learner"]}',
        outcome=outcome(entry),
        facts=(
            f'{len(groups)} groups of layers, channels ranked by {entry["selector"]}; each point with re-fitted '
            f'weights, all other layers as they were, on {entry["num_images"]:,} held-out training samples, in '
            f'{figures.duration(entry["seconds"])}. Without pruning: {metric.text(entry["whole"]["metric"])}.{left_out}'
        ),
        y_title=metric.axis,
        panels=[_panel(group, entry['whole'], metric, ys) for group in drawn],
        rows=[_row(group, metric, shares) for group in groups],
        shares=[f'{share:.0%}' if (100 * share).is_integer() else f'{share:.1%}' for share in shares],
    )


def _worst_drop(group: Record, whole: Record, metric: Metric) -> float:
    return max(metric.quality(whole['metric']) - metric.quality(point['metric']) for point in group['points'])


def _value_ticks(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    return ticks_between(low, high if high > low else low + 1, 4)


def _panel(group: Record, whole: Record, metric: Metric, ys: Sequence[float]) -> Panel:
    plot, xs = Box(left=42, top=24, right=WIDTH - 8, bottom=HEIGHT - 34), [0.0, 0.25, 0.5, 0.75, 1.0]
    points = [*group['points'], {'kept': group['size'], **whole}]
    shares = [point['kept'] / group['size'] for point in points]
    places = [
        (between(share, xs, plot.left, plot.right), between(metric.scale * point['metric'], ys, plot.bottom, plot.top))
        for share, point in zip(shares, points, strict=True)
    ]
    tips = [
        f'{point["kept"]} of {group["size"]} channels: {metric.text(point["metric"])}, loss {point["loss"]:.4g}'
        for point in points
    ]
    share, name = group['chosen'] / group['size'], group['layers'][0]
    return Panel(
        name,
        shortened(name, LONGEST_LABEL),
        len(group['layers']) - 1,
        plot,
        axis_ticks(xs, plot.left, plot.right),
        axis_ticks(ys, plot.bottom, plot.top),
        'M' + 'L'.join(f'{x} {y}' for x, y in places),
        [(*place, tip) for place, tip in zip(places, tips, strict=True)],
        (between(share, xs, plot.left, plot.right), _height_at(share, shares, [y for _, y in places])),
        f'chosen: {group["chosen"]} of {group["size"]} channels',
        '; '.join(tips),
    )


def _height_at(share: float, shares: Sequence[float], heights: Sequence[float]) -> float:
    """The height of a polygonal line at a share.

    >>> _height_at(0.75, [0.5, 1.0], [10.0, 20.0])
    15.0
    """
    for (left, right), (low, high) in zip(
        zip(shares, shares[1:], strict=False), zip(heights, heights[1:], strict=False), strict=True
    ):
        if left <= share <= right:
            return round(low + (high - low) * (share - left) / (right - left), 1)
    return heights[0]


def _row(group: Record, metric: Metric, shares: Sequence[float]) -> CurveRow:
    found = {round(point['kept'] / group['size'], 3): metric.text(point['metric']) for point in group['points']}
    return CurveRow(
        ', '.join(group['layers']),
        f'{group["chosen"]} of {group["size"]}',
        f'{group["chosen"] / group["size"]:.1%}',
        [found.get(share, figures.MISSING) for share in shares],
    )
