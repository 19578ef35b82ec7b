"""Content of the search section of `report.html`; the layout is in `templates/search.html`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from pocketflow.utils.reports import number_format as figures
from pocketflow.utils.reports.search.charts import TrialChart, ValueChart, front_chart, history_chart, value_chart
from pocketflow.utils.reports.search.results import (
    SAME_COST,
    UNIFORM,
    counted,
    drawn_trials,
    finite,
    outcome,
    verified_rewards,
    with_cost,
)
from pocketflow.utils.runs.records import Record


@dataclasses.dataclass(frozen=True)
class Verified:
    """A candidate that was tuned longer, as formatted texts."""

    source: str
    in_search: str
    reward: str
    change: str
    cost: str
    wins: bool


@dataclasses.dataclass(frozen=True)
class Search:
    """Template variables of one search."""

    name: str
    outcome: str
    facts: Sequence[str]
    history: TrialChart
    front: TrialChart | None
    values: ValueChart | None
    verified: Sequence[Verified]
    cost_unit: str
    flags: Mapping[str, Sequence[str]]
    flag_columns: Sequence[str]


def searches(report: Record) -> list[Search]:
    """One `Search` per entry of the report's `searches`; none in reports without this key."""
    is_share = report['task']['primary']['is_share']
    return [search_section(entry, is_share) for entry in report.get('searches') or ()]


def search_section(entry: Record, is_share: bool = True) -> Search:
    """Charts, tables and sentences on one search; see `results` for the fields of an entry.

    Args:
      entry: the search.
      is_share: whether rewards are shares, whose differences are in points.
    """
    columns = flag_columns(entry)
    return Search(
        name=f'{entry["searched"]} of {entry["learner"]}',
        outcome=outcome(entry),
        facts=facts(entry),
        history=history_chart(entry),
        front=front_chart(entry),
        values=value_chart(entry),
        verified=verified_rows(entry, is_share),
        cost_unit=entry.get('cost_unit') or '',
        flags=flag_rows(entry, columns),
        flag_columns=list(columns),
    )


def facts(entry: Record) -> list[str]:
    """Sentences on the course of the search."""
    found = [f'{counted(entry)}.']
    if entry['budget']:
        found.append(f'Every candidate keeps the budget: {entry["budget"]}.')
    if finite(entry['evaluating']) is not None:
        found.append(f'{figures.percent(entry["evaluating"])} of the time went into evaluating candidates.')
    if front_chart(entry) is None and with_cost(drawn_trials(entry)):
        whole = ', as each uses the whole budget' if entry['budget'] else ''
        found.append(
            f'The costs of all candidates lie within {100 * SAME_COST:.0f} % of each other{whole}: '
            'there is no trade-off between reward and cost to draw.'
        )
    return found


def verified_rows(entry: Record, is_share: bool = True) -> list[Verified]:
    """The verified candidates in their order."""
    rewards = {trial.number: trial.reward for trial in drawn_trials(entry)}
    uniform = verified_rewards(entry).get(UNIFORM)
    return [
        Verified(
            item['source'],
            _reward(rewards.get(item['trial'])),
            _reward(finite(item['reward'])),
            _change(item, uniform, is_share),
            figures.MISSING if item['cost'] is None else f'{item["cost"]:,.0f}',
            item['source'] == entry['winner'],
        )
        for item in entry['verified']
    ]


def _reward(value: float | None) -> str:
    return figures.MISSING if value is None else f'{value:.4f}'


def _change(item: Record, uniform: float | None, is_share: bool) -> str:
    if uniform is None or item['source'] == UNIFORM or finite(item['reward']) is None:
        return ''
    change = item['reward'] - uniform
    return f'{figures.signed(100 * change, 2)} points' if is_share else figures.signed(change, 4)


def flag_columns(entry: Record) -> dict[str, Mapping[str, Any]]:
    """Searched flags of each verified candidate and the winner; empty if no flags were searched."""
    if not entry.get('flags'):
        return {}
    others = {item['source']: item['values'] for item in entry['verified'] if item['source'] != entry['winner']}
    return {f'{entry["winner"]} (winner)': entry['flags'], **others}


def flag_rows(entry: Record, columns: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Flag -> its value in each of `columns`."""
    return {flag: [flag_value(values.get(flag)) for values in columns.values()] for flag in entry.get('flags') or ()}


def flag_value(value: Any) -> str:
    if value is None:
        return figures.MISSING
    return f'{value:.4g}' if isinstance(value, float) else str(value)
