"""Reads the search space of `--hpo_space=FILE.yaml`: the searched flags, their ranges and order constraints.

One entry per flag under `parameters`, as in `ws_prune_ratio_exp: {type: float, low: 1, high: 5}`, of the types float,
int and log10, or `batch_size: {choice: [32, 64, 128]}`; under `constraints` a list of orders, as in
`ws_iter_ratio_end >= ws_iter_ratio_beg`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import yaml

from pocketflow.hp_optimizer.space import Kind, Order, Parameter, SearchSpace
from pocketflow.utils.errors import UsageError
from pocketflow.utils.system.yaml_files import in_one_line, read_yaml

_SHOWN_LENGTH = 100
_SECTIONS = ('parameters', 'constraints')
_NUMERIC = tuple(kind.value for kind in Kind if kind is not Kind.CHOICE)
_ORDER = re.compile(r'\s*(\w+)\s*(>=|<=)\s*(\w+)\s*')


def read_space(path: str | os.PathLike[str], flags: Mapping[str, type]) -> SearchSpace:
    """Reads the search space from a YAML file.

    Args:
      path: the file.
      flags: the searchable flags -> type of their values (`float`, `int`, `str`, `bool`).

    Raises:
      UsageError: the file cannot be read, or has an unknown flag or an invalid range; the message is one line that
        begins with the file's name.
    """
    try:
        document = read_yaml(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f'cannot read --hpo_space={os.fspath(path)}: {error}') from None
    except yaml.YAMLError as error:
        raise UsageError(f'--hpo_space={os.fspath(path)} is not YAML: {in_one_line(error)}') from None
    try:
        return parse_space(document, flags)
    except UsageError as error:
        raise UsageError(f'--hpo_space={os.fspath(path)}: {error}') from None


def names_in_space(path: str | None) -> frozenset[str]:
    """The flags that a YAML file names, unchecked; empty if the file cannot be read."""
    try:
        document = read_yaml(path) if path else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return frozenset()
    entries = document.get('parameters') if isinstance(document, dict) else None
    return frozenset(map(str, entries)) if isinstance(entries, dict) else frozenset()


def parse_space(document: Any, flags: Mapping[str, type]) -> SearchSpace:
    """The search space in a decoded document; arguments and errors as for `read_space`."""
    if not isinstance(document, dict) or not set(document) <= set(_SECTIONS):
        raise UsageError(f'must have the sections {" and ".join(_SECTIONS)}, not {_shown(document)}')
    entries, constraints = document.get('parameters'), document.get('constraints') or []
    if not isinstance(entries, dict) or not entries:
        raise UsageError(
            'the section parameters must name one or more flags, as in '
            'ws_prune_ratio_exp: {type: float, low: 1, high: 5}'
        )
    if not isinstance(constraints, list):
        raise UsageError(f'the section constraints must be a list, not {_short(repr(constraints))}')
    return SearchSpace(
        [_parameter(name, entry, flags) for name, entry in entries.items()], [_order(text) for text in constraints]
    )


def _shown(document: Any) -> str:
    return _short(', '.join(map(str, document))) if isinstance(document, dict) else _short(repr(document))


def _short(text: str) -> str:
    """The text, truncated for messages."""
    return text if len(text) <= _SHOWN_LENGTH else f'{text[:_SHOWN_LENGTH]}...'


def _order(text: Any) -> Order:
    match = _ORDER.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise UsageError(f'constraint {_short(repr(text))} is not NAME >= NAME or NAME <= NAME')
    left, sign, right = match.groups()
    return Order(left, right) if sign == '>=' else Order(right, left)


def _parameter(name: Any, entry: Any, flags: Mapping[str, type]) -> Parameter:
    if name not in flags:
        raise UsageError(f'unknown flag {_short(repr(name))}; flags that can be searched: {", ".join(sorted(flags))}')
    if not isinstance(entry, dict):
        raise UsageError(f'{name}: {_short(repr(entry))} is not {{type: float, low: 1, high: 5}} or {{choice: [1, 2]}}')
    kind = entry.get('type', 'choice' if 'choice' in entry else None)
    if kind == Kind.CHOICE.value:
        _check_keys(name, entry, {'choice'})
        return _choice(name, entry['choice'], flags[name])
    if kind not in _NUMERIC:
        raise UsageError(f'{name}: unknown type {_short(repr(kind))}; known: {", ".join(_NUMERIC)}, choice')
    _check_keys(name, entry, {'low', 'high'})
    return _number(name, Kind(kind), entry, flags[name])


def _check_keys(name: str, entry: Mapping[str, Any], needed: set[str]) -> None:
    given = set(entry) - {'type'}
    if given != needed:
        raise UsageError(
            f'{name}: needs {" and ".join(sorted(needed, reverse=True))}, has '
            f'{", ".join(sorted(map(str, given))) or "none"}'
        )


def _fits(value: Any, flag_type: type) -> bool:
    accepted = (int, float) if flag_type is float else flag_type
    return isinstance(value, accepted) and (flag_type is bool or not isinstance(value, bool))


def _choice(name: str, choices: Any, flag_type: type) -> Parameter:
    if not isinstance(choices, list) or not all(_fits(value, flag_type) for value in choices):
        raise UsageError(f'{name}: choice {_short(repr(choices))} is not a list of values of type {flag_type.__name__}')
    return Parameter(name, Kind.CHOICE, choices=tuple(flag_type(value) for value in choices))


def _number(name: str, kind: Kind, entry: Mapping[str, Any], flag_type: type) -> Parameter:
    low, high = entry['low'], entry['high']
    if flag_type not in (int, float):
        raise UsageError(f'{name}: is a flag of type {flag_type.__name__}: give {{choice: [...]}}')
    if not _fits(low, float) or not _fits(high, float):
        raise UsageError(f'{name}: low {_short(repr(low))} and high {_short(repr(high))} must be numbers')
    if flag_type is int and kind is Kind.FLOAT:
        raise UsageError(f'{name}: takes whole numbers: type int or log10, not float')
    return Parameter(name, kind, float(low), float(high), whole=flag_type is int and kind is Kind.LOG10)
