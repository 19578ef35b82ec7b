"""Budgets in words, such as '50% macs', as the flags of the learners that keep them."""

from __future__ import annotations

import decimal
import re
from collections.abc import Mapping, Sequence

from pocketflow.learners import LEARNERS
from pocketflow.learners.options import Budget
from pocketflow.utils.errors import UsageError

_PART = re.compile(r'(\d+(?:\.\d+)?|\.\d+) ?(%?) ?([a-z]+)')
_SPEED = re.compile(r'faster|latency|speed|\bms\b|seconds|fps')


def flags_of_target(target: str, learners: Sequence[str], given: Mapping[str, object]) -> dict[str, str]:
    """The flags that keep a budget.

    >>> flags_of_target('50% macs', ['chn-pruned-rmt'], {})
    {'cpr_preserve_ratio': '0.5', 'cpr_prune_option': 'program', 'cpr_budget': 'macs'}

    Args:
      target: an amount and what it is of, as `Budget` describes; several are separated by commas.
      learners: the chain of learners, of which exactly one must keep a budget of this kind.
      given: flags that were given beside it -> their values; those that the amount needs are not overridden.

    Raises:
      UsageError: no learner or several learners keep such a budget, or its flag is given, too.
    """
    flags: dict[str, str] = {}
    for part in target.split(','):
        amount, budget = _budget(target, part.strip(), learners)
        if budget.flag in {**given, **flags}:
            raise UsageError(f'target={target!r}: stands for {budget.flag}={amount}, which is given, too; drop one')
        flags[budget.flag] = amount
        flags |= {flag: value for flag, value in budget.others.items() if flag not in given}
    return flags


def _budget(target: str, part: str, learners: Sequence[str]) -> tuple[str, Budget]:
    """The amount and the budget of one part of a target."""
    kept = {name: LEARNERS.declaration(name).budgets for name in learners}
    match = _PART.fullmatch(part.lower())
    found = [(name, budgets[match[3]]) for name, budgets in kept.items() if match is not None and match[3] in budgets]
    if match is None or not found:
        raise UsageError(f'target={target!r}: {_reason(part.lower())}; {_accepted(kept)}')
    if len(found) > 1:
        names = ' and '.join(f'{name} ({budget.flag})' for name, budget in found)
        raise UsageError(f'target={target!r}: {names} both keep such a budget; give their options instead')
    amount, budget = decimal.Decimal(match[1]), found[0][1]
    if match[2] and not budget.is_share:
        raise UsageError(f'target={target!r}: {match[3]} of {found[0][0]} are a number, not a share; drop the %')
    return f'{(amount / 100 if match[2] else amount).normalize():f}', budget


def _reason(part: str) -> str:
    if _SPEED.search(part):
        return (
            'a speed cannot be a budget: it would need a table of measured latencies (require_faster=True fails unless '
            'the exported file is measured to be faster)'
        )
    return 'no budget that these learners keep'


def _accepted(kept: Mapping[str, Mapping[str, Budget]]) -> str:
    """What the learners of the chain accept, or, if that is nothing, which learners accept something."""
    forms = [f"'{_form(kind, budget)}' ({name})" for name, budgets in kept.items() for kind, budget in budgets.items()]
    if forms:
        return f'accepted: {", ".join(forms)}'
    others = [f'{name} ({", ".join(budgets)})' for name in LEARNERS if (budgets := LEARNERS.declaration(name).budgets)]
    return f'learner={",".join(kept)!r} has no budgets; learners that have: {", ".join(others)}'


def _form(kind: str, budget: Budget) -> str:
    return f'N% {kind}' if budget.is_share else f'N {kind}'
