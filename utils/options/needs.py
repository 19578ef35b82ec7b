"""Rejects flags made ineffective by other flags.

An option declares its conditions as text in the syntax of the command line (see `pocketflow.utils.options.option`); a
learner declares which of its own flags replace flags that all learners share.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from absl import flags

from pocketflow.utils.errors import UsageError
from pocketflow.utils.options.fields import Options, option_fields


def refuse_idle_flags(
    options_classes: Collection[type[Options]], flag_values: flags.FlagValues, searched: Collection[str] = ()
) -> None:
    """Raises a `UsageError` for a flag that other flags make ineffective.

    Default values are accepted, since recorded flag files hold all flags.

    Args:
      options_classes: the options whose flags are checked.
      flag_values: the parsed command line.
      searched: flags whose values are searched, and may therefore fulfil any condition.
    """
    for flag, needs, unless in _dependent(options_classes, flag_values):
        given = argument(flag, flag_values)
        for condition in needs:
            if not _holds(condition, flag_values) and _flag_of(condition) not in searched:
                raise UsageError(
                    f'{given} would have no effect: it needs {_wanted(condition, flag_values)}; give '
                    'that, or drop the flag'
                )
        for condition in unless:
            if _holds(condition, flag_values) and _flag_of(condition) not in searched:
                raise UsageError(
                    f'{given} would have no effect with {argument(_flag_of(condition), flag_values)}; '
                    'drop one of the two'
                )


def refuse_replaced_flags(
    chain: Mapping[str, Mapping[str, str]], shared: type[Options], flag_values: flags.FlagValues
) -> None:
    """Raises a `UsageError` for a shared flag that no learner of a chain uses.

    Args:
      chain: learner -> shared flag -> the learner's own flag that replaces it, if that flag has a value. A flag of data
        sets may be missing from `flag_values`, since some data sets do not have it.
      shared: the options of all learners.
      flag_values: the parsed command line.
    """
    for field in option_fields(shared):
        flag = field.metadata['flag']
        own = [
            flags_of[flag]
            for flags_of in chain.values()
            if flags_of.get(flag) in flag_values and flag_values[flags_of[flag]].value is not None
        ]
        if flag_values[flag].value != field.default and len(own) == len(chain):
            raise UsageError(
                f'{argument(flag, flag_values)} would have no effect: --learner={",".join(chain)} goes by '
                f'{", ".join(f"--{name}" for name in own)}; give that, or drop the flag'
            )


def flags_in_effect(
    options_classes: Collection[type[Options]], flag_values: flags.FlagValues
) -> tuple[list[str], list[str]]:
    """Arguments of the flags that affect results, without those that other flags make ineffective.

    Args:
      options_classes: the options of the run.
      flag_values: the parsed command line.

    Returns:
      (arguments that differ from the defaults, arguments with default values); flags without a value are left out.
    """
    changed: dict[str, None] = {}
    defaults: dict[str, None] = {}
    for options_class in options_classes:
        for field in option_fields(options_class):
            meta, value = field.metadata, flag_values[field.metadata['flag']].value
            needs = [*options_class.needs.split(), *meta['needs'].split()]
            is_idle = not all(_holds(condition, flag_values) for condition in needs) or any(
                _holds(condition, flag_values) for condition in meta['unless'].split()
            )
            if value is not None and meta['decides'] and not is_idle:
                (defaults if value == field.default else changed)[argument(meta['flag'], flag_values)] = None
    return list(changed), list(defaults)


def argument(flag: str, flag_values: flags.FlagValues) -> str:
    """A flag with its value as on the command line."""
    value = flag_values[flag].value
    if isinstance(value, bool):
        return f'--{flag}' if value else f'--no{flag}'
    return f'--{flag}={value}'


def _dependent(
    options_classes: Collection[type[Options]], flag_values: flags.FlagValues
) -> Iterator[tuple[str, list[str], list[str]]]:
    """(flag, conditions that must hold, conditions that must not hold) of flags with non-default values."""
    for options_class in options_classes:
        for field in option_fields(options_class):
            meta = field.metadata
            if flag_values[meta['flag']].value != field.default:
                yield meta['flag'], [*options_class.needs.split(), *meta['needs'].split()], meta['unless'].split()


def _flag_of(condition: str) -> str:
    return condition.partition('=')[0]


def _holds(condition: str, flag_values: flags.FlagValues) -> bool:
    """Evaluates a condition: `flag=value`: the flag has this value; `flag`: it is on, or has any value."""
    flag, _, wanted = condition.partition('=')
    value: Any = flag_values[flag].value
    return str(value) == wanted if wanted else value not in (None, False)


def _wanted(condition: str, flag_values: flags.FlagValues) -> str:
    """The command-line argument that fulfils a condition."""
    takes_value = '=' not in condition and not flag_values[condition].boolean
    return f'--{condition}=...' if takes_value else f'--{condition}'
