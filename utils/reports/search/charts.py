"""Layout of the charts of a search: pure geometry, drawn as SVG by `templates/search.html`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

from pocketflow.utils.reports.charts import (
    CHARACTER_WIDTH,
    DESCRIBED,
    LONGEST_LABEL,
    Box,
    Label,
    Tick,
    arrow,
    axis_ticks,
    between,
    nice_step,
    place_labels,
    shortened,
    ticks_between,
)
from pocketflow.utils.reports.number_format import compact
from pocketflow.utils.reports.search.results import (
    CostedTrial,
    Mark,
    Trial,
    costs_differ,
    drawn_trials,
    front_trials,
    improvements,
    multiple,
    value_digits,
    value_title,
    with_cost,
)
from pocketflow.utils.runs.records import Record

SMALLEST_SPAN = 0.01
"""Minimum span of the reward axis."""

LANE = 30
"""Height of the row for trials without a reward, below the plot."""

ROW_HEIGHT = 22
KEY = 10
"""Half the size of a symbol's square in the legend."""

REWARD = 'reward on the validation samples'


@dataclasses.dataclass(frozen=True)
class Dot:
    """A drawn trial; `light` ones are drawn in a weaker colour."""

    x: float
    y: float
    mark: Mark
    verified: bool
    light: bool
    tip: str


@dataclasses.dataclass(frozen=True)
class Note:
    """A text beside the dot at `x`, `y`."""

    text: str
    x: float
    y: float
    label: Label


@dataclasses.dataclass(frozen=True)
class TrialChart:
    """Chart of the trials' rewards (y) over trial number or cost (x).

    Attributes:
      key: legend: label -> dot of that kind, centred at (`KEY`, `KEY`).
      path, path_name: the step line, and its label.
      lane: y of the row of trials without a reward; None if there are none.
    """

    title: str
    x_title: str
    y_title: str
    width: int
    height: int
    plot: Box
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    dots: Sequence[Dot]
    notes: Sequence[Note]
    key: Mapping[str, Dot]
    path: str
    path_name: str
    lane: float | None
    description: str


@dataclasses.dataclass(frozen=True)
class Dumbbell:
    """One layer: y of its row, name, x of both values, and the texts beside them."""

    y: float
    name: str
    label: str
    uniform: float
    winner: float
    values: str
    weights: str


@dataclasses.dataclass(frozen=True)
class ValueChart:
    """Chart of the values of all layers: uniform and winner."""

    width: float
    height: float
    axis_title: str
    begin: float
    values_at: float
    weights_at: float
    ticks: Sequence[Tick]
    rows: Sequence[Dumbbell]
    description: str


def history_chart(entry: Record) -> TrialChart:
    """Chart of the reward of each trial, and the best so far."""
    trials = drawn_trials(entry)
    lane = LANE if any(trial.reward is None for trial in trials) else 0
    plot, xs, ys = _plot(), trial_ticks(len(trials)), reward_ticks(trials)
    bottom = plot.bottom - lane

    def place(number: int, reward: float | None) -> tuple[float, float]:
        y = plot.bottom - lane / 2 if reward is None else between(reward, ys, bottom, plot.top)
        return between(number, xs, plot.left, plot.right), y

    best = improvements(trials)
    path = staircase([place(*step) for step in best])
    path += f'H{place(len(trials), None)[0]}' if best else ''
    dots = [_dot(trial, place(trial.number, trial.reward)) for trial in trials]
    steps = [f'trial {number} {reward:.4f}' for number, reward in best]
    return TrialChart(
        'Search history',
        'trial number',
        REWARD,
        width=520,
        height=334,
        plot=plot,
        x_ticks=axis_ticks(xs, plot.left, plot.right),
        y_ticks=axis_ticks(ys, bottom, plot.top),
        dots=dots,
        notes=_notes(trials, dots, plot),
        key=_key(dots, 'trial'),
        path=path,
        path_name='best so far',
        lane=plot.bottom - lane / 2 if lane else None,
        description=f'Best so far: {"; ".join(steps) or "none, no trial had a reward"}',
    )


def front_chart(entry: Record) -> TrialChart | None:
    """Chart of reward over cost; None if all candidates cost about the same."""
    trials = with_cost(drawn_trials(entry))
    if not costs_differ(trials):
        return None
    plot, ys = _plot(), reward_ticks(trials)
    scale, title = cost_axis(entry, trials)
    costs = [trial.cost / scale for trial in trials]
    xs = ticks_between(min(costs), max(costs), 5)

    def place(trial: CostedTrial) -> tuple[float, float]:
        return between(trial.cost / scale, xs, plot.left, plot.right), between(trial.reward, ys, plot.bottom, plot.top)

    front = front_trials(entry, trials)
    dots = [_dot(trial, place(trial), light=bool(front) and trial not in front) for trial in trials]
    return TrialChart(
        'Accuracy and cost',
        title,
        REWARD,
        width=520,
        height=334,
        plot=plot,
        x_ticks=axis_ticks(xs, plot.left, plot.right),
        y_ticks=axis_ticks(ys, plot.bottom, plot.top),
        dots=dots,
        notes=_notes(trials, dots, plot),
        key=_key(dots, 'on the front' if front else 'trial'),
        path_name='front',
        lane=None,
        path=staircase([place(trial) for trial in front]),
        description=f'Pareto front: {"; ".join(trial.tip for trial in front) or "not known"}',
    )


def cost_axis(entry: Record, trials: Sequence[CostedTrial]) -> tuple[float, str]:
    """Size of the cost axis' unit, and title of the axis: `(1e3, 'cost (thousand MACs)')`."""
    scale, name = multiple(max(trial.cost for trial in trials))
    unit = f'{name}{entry.get("cost_unit") or ""}'.strip()
    return scale, f'cost ({unit})' if unit else 'cost'


def _plot() -> Box:
    return Box(left=66, top=14, right=506, bottom=286)


def _dot(trial: Trial, place: tuple[float, float], light: bool = False) -> Dot:
    return Dot(*place, trial.mark, trial.verified, light, trial.tip)


def _notes(trials: Sequence[Trial], dots: Sequence[Dot], plot: Box) -> list[Note]:
    """Labels of the verified trials; `trials` and `dots` are in the same order."""
    named = [(_name(trial), (dot.x, dot.y)) for trial, dot in zip(trials, dots, strict=True) if trial.verified]
    labels = place_labels([place for _, place in named], [name for name, _ in named], plot)
    return [Note(name, *place, label) for (name, place), label in zip(named, labels, strict=True)]


def _name(trial: Trial) -> str:
    return f'{trial.number}, winner' if trial.mark is Mark.WINNER else str(trial.number)


def _key(dots: Sequence[Dot], plain: str) -> dict[str, Dot]:
    kinds = {_kind(dot, plain): dataclasses.replace(dot, x=KEY, y=KEY, tip='') for dot in dots}
    order = ['winner', 'verified', plain, 'beaten', Mark.SCREENED.value, Mark.NOT_FINITE.value]
    return {kind: kinds[kind] for kind in order if kind in kinds}


def _kind(dot: Dot, plain: str) -> str:
    if dot.mark is not Mark.MEASURED:
        return str(dot.mark.value)
    return 'verified' if dot.verified else 'beaten' if dot.light else plain


def trial_ticks(count: int) -> list[float]:
    """Whole numbers from 0 to at least `count`."""
    step = max(1, nice_step(max(count, 5), 5))
    step = step if step == round(step) else 2 * step
    return [round(step * index) for index in range(math.ceil(max(count, 1) / step) + 1)]


def reward_ticks(trials: Sequence[Trial]) -> list[float]:
    """Round values around all rewards; 0 to 1 if there are none."""
    rewards = [trial.reward for trial in trials if trial.reward is not None]
    if not rewards:
        return ticks_between(0, 1, 5)
    low, high = min(rewards), max(rewards)
    margin = max(0.04 * (high - low), (SMALLEST_SPAN - (high - low)) / 2)
    return ticks_between(low - margin, high + margin, 5)


def staircase(places: Sequence[tuple[float, float]]) -> str:
    """SVG path of a step line: horizontal to each place, then vertical; '' without places."""
    return ''.join(f'M{x} {y}' if index == 0 else f'H{x}V{y}' for index, (x, y) in enumerate(places))


def value_chart(entry: Record) -> ValueChart | None:
    """Chart of the searched value of each layer; None without layers. The axis begins at zero."""
    layers = entry['layers']
    if not layers:
        return None
    labels = [shortened(row['layer'], LONGEST_LABEL) for row in layers]
    begin = 18 + math.ceil(CHARACTER_WIDTH * max(map(len, labels)))
    end = max(640, begin + 300)
    xs = ticks_between(0, max(max(row['uniform'], row['winner']) for row in layers) or 1, 5)
    place = _to_place(xs, begin, end)
    digits = value_digits(layers)
    rows = [
        _dumbbell(row, label, 56 + ROW_HEIGHT * index, digits, place)
        for index, (row, label) in enumerate(zip(layers, labels, strict=True))
    ]
    shown = [f'{row.name} {row.values}' for row in rows[:DESCRIBED]] + ['...'] * (len(rows) > DESCRIBED)
    return ValueChart(
        width=end + 280,
        height=rows[-1].y + ROW_HEIGHT,
        axis_title=value_title(entry),
        begin=begin,
        values_at=end + 24,
        weights_at=end + 180,
        ticks=axis_ticks(xs, begin, end),
        rows=rows,
        description='; '.join(shown),
    )


def _to_place(ticks: Sequence[float], first: float, last: float) -> Callable[[float], float]:
    return lambda value: between(value, ticks, first, last)


def _dumbbell(row: Record, label: str, y: float, digits: int, place: Callable[[float], float]) -> Dumbbell:
    uniform, winner = row['uniform'], row['winner']
    return Dumbbell(
        y,
        row['layer'],
        label,
        place(uniform),
        place(winner),
        values=arrow(f'{uniform:.{digits}f}', f'{winner:.{digits}f}'),
        weights=compact(row['weights']),
    )
