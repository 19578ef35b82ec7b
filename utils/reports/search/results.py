"""Results of a search, as used by charts, tables and the text summary.

An entry of a report's `searches` holds

* `learner`, `optimizer`, `searched` (`sparsity`, `bits`, ...), `budget` in words or None;
* `seconds` of the whole search and `evaluating`, the share of them spent on evaluating candidates;
* `trials`: `number` (from 1), `reward` (None if screened out or not finite), `before` (the reward before tuning),
  `cost` in units of `cost_unit` (both may be None), `screened`, `same_as` (a trial number or None), `values`;
* `front`: numbers of the trials on the Pareto front of cost and reward;
* `verified`: candidates that were tuned longer: `source` (name), `trial` or None, `reward`, `cost`, `values`;
* `winner`: the `source` of the best of them;
* `layers`: `layer`, `uniform`, `winner` (values) and `weights` (their number), or `flags` of the winner.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections import Counter
from collections.abc import Sequence

from pocketflow.utils.reports import number_format as figures
from pocketflow.utils.runs.records import Number, Record

SAME_COST = 0.02
"""Costs that differ by less than this share of the largest count as equal."""

UNIFORM = 'uniform'
"""The `source` of the candidate with equal values for all layers."""

UNITS = {'sparsity': 'sparsity (share of zeros)', 'bits': 'bits per weight', 'channels kept': 'channels kept (share)'}
"""Axis titles of searched values that differ from their names."""

_FIGURE, _COST, _VALUES = (Number(), None), (Number(low=0), None), {...: (float, str)}
SHAPE = {
    'learner': str,
    'optimizer': str,
    'searched': str,
    'budget': (str, None),
    'cost_unit?': (str, None),
    'seconds': Number(low=0),
    'evaluating': (float, None),
    'front': [int],
    'winner': (str, None),
    'flags?': _VALUES,
    'trials': [
        {
            'number': int,
            'reward': _FIGURE,
            'before?': _FIGURE,
            'cost': _COST,
            'screened': bool,
            'same_as?': (int, None),
            'values': _VALUES,
        }
    ],
    'verified': [{'source': str, 'trial': (int, None), 'reward': _FIGURE, 'cost': _COST, 'values': _VALUES}],
    'layers': [{'layer': str, 'uniform': Number(), 'winner': Number(), 'weights': Number(low=0)}],
}
"""Shape of an entry when read from a file; see `pocketflow.utils.runs.records`."""

MULTIPLES = ((1e9, 'billion '), (1e6, 'million '), (1e3, 'thousand '))


class Mark(enum.Enum):
    """Status of a trial; the values are the labels in legends and tooltips."""

    MEASURED = 'measured'
    WINNER = 'winner'
    SCREENED = 'screened out'
    NOT_FINITE = 'not finite'


@dataclasses.dataclass(frozen=True)
class Trial:
    """A trial for drawing: `reward` and `cost` are finite or None, `tip` is the tooltip."""

    number: int
    reward: float | None
    cost: float | None
    mark: Mark
    verified: bool
    tip: str


@dataclasses.dataclass(frozen=True)
class CostedTrial(Trial):
    """A trial with both a reward and a cost."""

    reward: float
    cost: float


def drawn_trials(entry: Record) -> list[Trial]:
    """The trials of an entry, in their order."""
    verified = {item['trial'] for item in entry['verified']} - {None}
    winner = winner_trial(entry)
    return [
        _drawn(row, entry.get('cost_unit'), row['number'] in verified, row['number'] == winner)
        for row in entry['trials']
    ]


def _drawn(row: Record, cost_unit: str | None, verified: bool, wins: bool) -> Trial:
    reward, cost = None if row['screened'] else finite(row['reward']), finite(row['cost'])
    if reward is None:
        mark = Mark.SCREENED if row['screened'] else Mark.NOT_FINITE
    else:
        mark = Mark.WINNER if wins else Mark.MEASURED
    return Trial(row['number'], reward, cost, mark, verified, _tip(row, mark, reward, cost, cost_unit))


def _tip(row: Record, mark: Mark, reward: float | None, cost: float | None, cost_unit: str | None) -> str:
    before, same_as = finite(row.get('before')), row.get('same_as')
    parts = [
        mark.value if reward is None else f'reward {reward:.4f}',
        f'{before:.4f} before tuning' if before is not None else '',
        f'{figures.compact(cost)} {cost_unit or ""}'.rstrip() if cost is not None else '',
        f'same as trial {same_as}' if same_as is not None else '',
    ]
    return f'trial {row["number"]}: {", ".join(part for part in parts if part)}'


def finite(value: float | None) -> float | None:
    """The value if it is finite, else None."""
    return value if value is not None and math.isfinite(value) else None


def winner_trial(entry: Record) -> int | None:
    """Number of the winning trial; None if the winner is no trial, such as the final policy."""
    return next((item['trial'] for item in entry['verified'] if item['source'] == entry['winner']), None)


def improvements(trials: Sequence[Trial]) -> list[tuple[int, float]]:
    """(number, reward) of each trial that was better than all previous ones."""
    found: list[tuple[int, float]] = []
    for trial in trials:
        if trial.reward is not None and (not found or trial.reward > found[-1][1]):
            found.append((trial.number, trial.reward))
    return found


def front_trials(entry: Record, trials: Sequence[Trial]) -> list[CostedTrial]:
    """The trials of the entry's `front`, the cheapest first."""
    numbers = set(entry.get('front') or ())
    return sorted(
        (trial for trial in with_cost(trials) if trial.number in numbers), key=lambda trial: (trial.cost, trial.reward)
    )


def with_cost(trials: Sequence[Trial]) -> list[CostedTrial]:
    """The trials with both a reward and a cost."""
    return [
        CostedTrial(trial.number, trial.reward, trial.cost, trial.mark, trial.verified, trial.tip)
        for trial in trials
        if trial.reward is not None and trial.cost is not None
    ]


def costs_differ(trials: Sequence[Trial]) -> bool:
    """Whether costs differ enough to draw a trade-off."""
    costs = [trial.cost for trial in with_cost(trials)]
    return bool(costs) and max(costs) - min(costs) > SAME_COST * max(costs)


def multiple(largest: float) -> tuple[float, str]:
    """Size and name of a cost axis' unit: `(1e3, 'thousand ')` for 27,000."""
    return next(((scale, name) for scale, name in MULTIPLES if largest >= scale), (1.0, ''))


def value_digits(layers: Sequence[Record]) -> int:
    """Number of decimals of the searched values: 0 if all are integral."""
    return 0 if all(float(row[key]).is_integer() for row in layers for key in ('uniform', 'winner')) else 3


def value_title(entry: Record) -> str:
    """The searched value with its unit."""
    searched: str = entry['searched']
    return UNITS.get(searched, searched)


def verified_rewards(entry: Record) -> dict[str, float]:
    """Finite rewards after longer tuning: source -> reward."""
    return {item['source']: item['reward'] for item in entry['verified'] if finite(item['reward']) is not None}


def counted(entry: Record) -> str:
    """`60 trials: 47 measured, 12 screened out, 1 not finite; 3 repeated an earlier candidate`."""
    trials = drawn_trials(entry)
    marks = Counter(Mark.MEASURED if trial.mark is Mark.WINNER else trial.mark for trial in trials)
    parts = [f'{marks[mark]} {mark.value}' for mark in (Mark.MEASURED, Mark.SCREENED, Mark.NOT_FINITE) if marks[mark]]
    repeated = sum(row.get('same_as') is not None for row in entry['trials'])
    return (
        num_trials(entry)
        + (f': {", ".join(parts)}' if parts else '')
        + (f'; {repeated} repeated an earlier candidate' if repeated else '')
    )


def num_trials(entry: Record) -> str:
    count = len(entry['trials'])
    return f'{count} {"trial" if count == 1 else "trials"}'


def outcome(entry: Record) -> str:
    """One line: searched values, optimizer, duration and result."""
    return (
        f'{entry["searched"]} by {entry["optimizer"]}, {num_trials(entry)} in '
        f'{figures.duration(entry["seconds"])}: {_gain(entry)}'
    )


def _gain(entry: Record) -> str:
    rewards, winner = verified_rewards(entry), entry['winner']
    if winner not in rewards:
        return 'no candidate was verified'
    best = f'{rewards[winner]:.4f} ({winner})'
    if winner != UNIFORM and UNIFORM in rewards:
        best = f'{rewards[UNIFORM]:.4f} ({UNIFORM}) -> {best}'
    beaten = '; nothing better was found' if winner == UNIFORM else ''
    return f'{best} on the validation samples{beaten}'
