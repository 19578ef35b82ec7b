"""Flags in a YAML file with sections: `--config=FILE.yaml`, for a run of one or several learners.

    model: {model: resnet, resnet_size: 20}
    data: {dataset: cifar10, data_dir_local: /data/cifar10}
    strategies:
      - {learner: chn-pruned-rmt, cpr_prune_ratio: 0.5}
      - {learner: uniform-tf, uqtf_quant_epochs: 2}

Keys within the sections are flags. This module translates a file into flags; which keys a section may have is known
where all options are (`learners.program.config`).
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from pocketflow.utils.errors import UsageError
from pocketflow.utils.system.yaml_files import in_one_line, read_yaml

CONFIG = 'config'
STRATEGIES, LEARNER = 'strategies', 'learner'
"""The section with a list, one entry per learner, and its key that names the learner."""
_ARGUMENT = re.compile(r'--?config(?:=(.*))?', re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A key of a file with its value.

    Attributes:
      place: the key with those above it, as in `strategies[1].uqtf_quant_epochs`, for messages.
      section: the section.
      flag: the key.
      value: the value as on the command line.
      learner: in the section `strategies`, the learner of the entry.
    """

    place: str
    section: str
    flag: str
    value: str
    learner: str | None = None


def with_config(arguments: Sequence[str]) -> list[str]:
    """A command line with the flags of the file that `--config` names in front, so that given flags override them.

    Args:
      arguments: program name and arguments, in which flag files are replaced by their content.

    Raises:
      UsageError: the file cannot be read, or is none of this form; the message begins with the flag.
    """
    path = config_path(arguments[1:])
    if path is None:
        return list(arguments)
    return [arguments[0], *flags_of(read_config(path)), *arguments[1:]]


def config_path(arguments: Sequence[str]) -> str | None:
    """The file of the last `--config` among arguments; None without one."""
    path = None
    for number, argument in enumerate(arguments):
        match = _ARGUMENT.fullmatch(argument)
        if match is not None:
            path = match[1] if match[1] is not None else next(iter(arguments[number + 1 :]), None)
        elif argument == '--':
            break
    return path


def flags_of(entries: Sequence[Entry]) -> list[str]:
    """The flags of a file's entries, as arguments; those of all strategies form one chain of learners."""
    learners = [entry.value for entry in entries if entry.section == STRATEGIES and entry.flag == LEARNER]
    others = [f'--{entry.flag}={entry.value}' for entry in entries if entry.flag != LEARNER]
    return [*others, *([f'--{LEARNER}={",".join(learners)}'] if learners else [])]


def read_config(path: str | os.PathLike[str]) -> tuple[Entry, ...]:
    """The entries of a file in order; keys without a value are left out.

    Raises:
      UsageError: the file cannot be read, or is none of this form; the message begins with the flag.
    """
    name = f'--{CONFIG}={os.fspath(path)}'
    try:
        document = read_yaml(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else 'it holds no text'
        raise UsageError(f'{name}: cannot be read ({reason})') from None
    except yaml.YAMLError as error:
        raise UsageError(f'{name}: is not YAML: {in_one_line(error)}') from None
    try:
        entries = tuple(_entries(document))
        _refuse_two_values(entries)
    except UsageError as error:
        raise UsageError(f'{name}: {error}') from None
    return entries


def _entries(document: Any) -> Iterator[Entry]:
    if not isinstance(document, Mapping) or not document:
        raise UsageError('must have sections, as in `model: {save_path: my.keras}`')
    for section, content in document.items():
        if section == STRATEGIES:
            yield from _strategies(content)
        elif content is not None:
            yield from _keys(str(section), str(section), content, None)


def _strategies(content: Any) -> Iterator[Entry]:
    form = f'`- {LEARNER}: NAME` with the flags of that learner below it'
    if not isinstance(content, list) or not content:
        raise UsageError(f'{STRATEGIES}: must be a list of entries {form}')
    for number, strategy in enumerate(content):
        place = f'{STRATEGIES}[{number}]'
        keys = {LEARNER: strategy} if isinstance(strategy, str) else strategy
        learner = keys.get(LEARNER) if isinstance(keys, Mapping) else None
        if not isinstance(learner, str) or ',' in learner:
            raise UsageError(f'{place}: must name one learner: {form}')
        yield from _keys(place, STRATEGIES, keys, learner)


def _keys(place: str, section: str, content: Any, learner: str | None) -> Iterator[Entry]:
    if not isinstance(content, Mapping):
        raise UsageError(f'{place}: must hold keys with values, not {_short(content)}')
    for key, value in content.items():
        if value is not None:
            yield Entry(f'{place}.{key}', section, str(key), _text(f'{place}.{key}', value), learner)


def _text(place: str, value: Any) -> str:
    """A value as on the command line; the items of a list are separated by commas."""
    if isinstance(value, list) and value and not any(isinstance(item, list) for item in value):
        return ','.join(_text(place, item) for item in value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | str):
        return str(value)
    raise UsageError(f'{place}: must be a number, a text, true, false, or a list of these, not {_short(value)}')


def _refuse_two_values(entries: Sequence[Entry]) -> None:
    """Two strategies may name the same flag, which then has one value for both."""
    first: dict[str, Entry] = {}
    for entry in entries:
        before = first.setdefault(entry.flag, entry)
        if entry.flag != LEARNER and before.value != entry.value:
            raise UsageError(
                f'{entry.place} is {entry.value}, but {before.place} is {before.value}: a flag has one value for all '
                'strategies; give one of them, or make two runs, the second with save_path: DIRECTORY_OF_THE_FIRST'
            )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:60]}...'
