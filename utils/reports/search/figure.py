"""`search.png`: figure of a search for papers and slides; `report.html` contains the same charts as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketflow.utils.reports.charts import LONGEST_LABEL, shortened
from pocketflow.utils.reports.search.charts import REWARD, cost_axis
from pocketflow.utils.reports.search.results import (
    Mark,
    Trial,
    costs_differ,
    drawn_trials,
    front_trials,
    improvements,
    outcome,
    value_title,
    with_cost,
)
from pocketflow.utils.runs.records import Record
from pocketflow.utils.system import atomic

if TYPE_CHECKING:  # imported on first use, since it takes a second
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT, ROW_HEIGHT = 6.0, 4.2, 0.2
"""Width and height of a panel, and height of a layer's row in the lower one, in inches."""

DOTS_PER_INCH = 110
BEFORE, AFTER, GOOD, SOFT, INK = '#9aa4af', '#1f66b0', '#18703a', '#57606a', '#1c2127'
LANE = 0.09
"""Share of a panel's height, at its bottom, for trials without a reward."""

STYLES = {
    Mark.MEASURED: {'marker': 'o', 's': 26, 'color': AFTER},
    Mark.WINNER: {'marker': 'D', 's': 60, 'color': GOOD},
    Mark.SCREENED: {'marker': 'v', 's': 26, 'facecolors': 'none', 'edgecolors': SOFT},
    Mark.NOT_FINITE: {'marker': 'x', 's': 26, 'color': SOFT},
}


def write_search_figure(entry: Record, path: Path) -> None:
    """Draws the history, the Pareto front if costs differ, and the values per layer if there are layers.

    Args:
      entry: one of a report's `searches`, see `search_results`.
      path: the PNG file; it is written atomically.
    """
    figure = search_figure(entry)
    with atomic.replacing(path) as temporary:
        figure.savefig(temporary, format='png', dpi=DOTS_PER_INCH, metadata={'Software': None})


def search_figure(entry: Record) -> Figure:
    """Creates the figure without registering it in pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    trials, layers = drawn_trials(entry), entry['layers']
    has_front = costs_differ(trials)
    heights = [HEIGHT, *([1.0 + ROW_HEIGHT * len(layers)] if layers else [])]
    figure = Figure(figsize=(WIDTH * (2 if has_front else 1.3), sum(heights) + 0.4), layout='constrained')
    FigureCanvasAgg(figure)
    figure.suptitle(outcome(entry).replace(': ', ':\n', 1), fontsize='medium', parse_math=False)
    grid = figure.add_gridspec(len(heights), 2 if has_front else 1, height_ratios=heights)
    draw_history(figure.add_subplot(grid[0, 0]), trials)
    if has_front:
        draw_front(figure.add_subplot(grid[0, 1]), entry, trials)
    if layers:
        draw_layers(figure.add_subplot(grid[1, :]), layers, value_title(entry))
    return figure


def draw_history(axes: Axes, trials: Sequence[Trial]) -> None:
    """Draws the reward of each trial and the best so far; trials without a reward are drawn in a row at the bottom."""
    best = improvements(trials)
    if best:
        numbers, rewards = zip(*best, (len(trials), best[-1][1]), strict=True)
        axes.step(numbers, rewards, where='post', color=AFTER, linewidth=1.3, label='best so far', zorder=2)
    for mark in Mark:
        _scatter(axes, [(trial.number, trial.reward) for trial in trials if trial.mark is mark], mark)
    _ring(axes, trials, [(trial.number, trial.reward) for trial in trials])
    axes.set(title='Search history', xlabel='trial number', ylabel=REWARD, xlim=(0, max(len(trials), 5) * 1.04))
    axes.locator_params(axis='x', integer=True)
    if any(trial.reward is None for trial in trials):
        _add_lane(axes)
    _finish(axes)


def _add_lane(axes: Axes) -> None:
    low, high = axes.get_ylim()
    axes.axhline(low, color=BEFORE, linewidth=0.8)
    axes.set_yticks([tick for tick in axes.get_yticks() if low <= tick <= high])
    axes.set_ylim(low - LANE / (1 - LANE) * (high - low), high)
    axes.text(-0.015, LANE / 2, 'none', transform=axes.transAxes, ha='right', va='center')


def _scatter(axes: Axes, places: Sequence[tuple[float, float | None]], mark: Mark, **style: Any) -> None:
    if not places:
        return
    style = {'label': mark.value, 'zorder': 3, **STYLES[mark], **style}
    xs, ys = zip(*places, strict=True)
    if mark in (Mark.SCREENED, Mark.NOT_FINITE):
        axes.scatter(xs, [LANE / 2] * len(xs), transform=axes.get_xaxis_transform(), **style)
    else:
        axes.scatter(xs, ys, **style)


def _ring(axes: Axes, trials: Sequence[Trial], places: Sequence[tuple[float, float | None]]) -> None:
    """Draws the numbers of the verified trials, and rings around those that are not the winner."""
    ringed = [
        (trial, place)
        for trial, place in zip(trials, places, strict=True)
        if trial.verified and trial.reward is not None
    ]
    for trial, place in ringed:
        axes.annotate(str(trial.number), place, xytext=(5, 5), textcoords='offset points', fontsize='small', zorder=5)
    places = [place for trial, place in ringed if trial.mark is not Mark.WINNER]
    if places:
        xs, ys = zip(*places, strict=True)
        axes.scatter(xs, ys, s=110, facecolors='none', edgecolors=INK, linewidths=1, label='verified', zorder=4)


def draw_front(axes: Axes, entry: Record, trials: Sequence[Trial]) -> None:
    """Draws reward over cost, and the Pareto front as a step line."""
    trials = with_cost(trials)
    front = front_trials(entry, trials)
    scale, title = cost_axis(entry, trials)
    if front:
        axes.step(
            [trial.cost / scale for trial in front],
            [trial.reward for trial in front],
            where='post',
            color=AFTER,
            linewidth=1.3,
            label='front',
            zorder=2,
        )
    groups = {
        'beaten': [trial for trial in trials if front and trial not in front],
        'on the front' if front else 'trial': [trial for trial in trials if not front or trial in front],
    }
    for (label, group), color in zip(groups.items(), (BEFORE, AFTER), strict=True):
        _scatter(
            axes,
            [(trial.cost / scale, trial.reward) for trial in group if trial.mark is Mark.MEASURED],
            Mark.MEASURED,
            label=label,
            color=color,
        )
    _scatter(axes, [(trial.cost / scale, trial.reward) for trial in trials if trial.mark is Mark.WINNER], Mark.WINNER)
    _ring(axes, trials, [(trial.cost / scale, trial.reward) for trial in trials])
    axes.set(title='Accuracy and cost', ylabel=REWARD)
    axes.set_xlabel(title, parse_math=False)
    _finish(axes)


def draw_layers(axes: Axes, layers: Sequence[Record], title: str) -> None:
    """Draws the searched value of each layer, first layer on top: uniform and winner."""
    rows = range(len(layers))
    uniform, winner = ([row[key] for row in layers] for key in ('uniform', 'winner'))
    axes.hlines(rows, uniform, winner, color=BEFORE, linewidth=2, zorder=2)
    axes.scatter(uniform, rows, marker='s', s=30, color=BEFORE, label='uniform', zorder=3)
    axes.scatter(winner, rows, marker='o', s=30, color=AFTER, label='winner', zorder=4)
    axes.set_yticks(rows, [shortened(row['layer'], LONGEST_LABEL) for row in layers], parse_math=False)
    axes.set_title('Values per layer', loc='left')
    axes.set(ylim=(len(layers) - 0.4, -0.6))
    axes.set_xlim(0, 1.03 * max(*uniform, *winner, 1e-9))
    axes.set_xlabel(title, parse_math=False)
    _finish(axes, loc='lower right', bbox_to_anchor=(1, 1), ncols=2)


def _finish(axes: Axes, **legend: Any) -> None:
    axes.grid(alpha=0.35)
    axes.set_axisbelow(True)
    axes.spines[['top', 'right']].set_visible(False)
    axes.legend(**{'fontsize': 'small', 'framealpha': 0.9, 'bbox_to_anchor': (0, LANE, 1, 1 - LANE), **legend})
