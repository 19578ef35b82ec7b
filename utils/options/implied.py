"""Values of flags that other flags imply, for flags that were not given themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from absl import flags

from pocketflow.utils.options.fields import Options, option_fields


@dataclasses.dataclass(frozen=True)
class ValueOf:
    """Stands for the value of another flag."""

    flag: str


def implied_values(options_classes: Iterable[type[Options]], flag_values: flags.FlagValues) -> dict[str, Any]:
    """Flag -> the value that another flag implies for it (`implies` of `option`); flags that are given are left out.

    Args:
      options_classes: the options whose flags may imply values.
      flag_values: the parsed command line.
    """
    implied: dict[str, Any] = {}
    for options_class in options_classes:
        for field in option_fields(options_class):
            value = flag_values[field.metadata['flag']].value
            of_value: Mapping[str, Any] = field.metadata['implies'].get(value, {}) if value is not None else {}
            implied |= of_value
    return not_given(implied, flag_values)


def not_given(values: Mapping[str, Any], flag_values: flags.FlagValues) -> dict[str, Any]:
    """The values of flags that are not on the command line or in a flag file."""
    return {
        flag: flag_values[value.flag].value if isinstance(value, ValueOf) else value
        for flag, value in values.items()
        if not flag_values[flag].present
    }


def set_values(values: Mapping[str, Any], flag_values: flags.FlagValues) -> None:
    """Sets flags that were not given; they still count as such."""
    for flag, value in values.items():
        flag_values[flag].value = value
