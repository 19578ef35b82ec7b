"""The file in a run directory that repeats the run by `--config`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pocketflow.learners.program.command import Command
from pocketflow.learners.program.config import SECTIONS, FlagOptions, learner_flags, sections
from pocketflow.utils.options.config_file import LEARNER, STRATEGIES

CONFIG_FILE = 'config.yaml'
_HEADER = """\
# Repeats this run: --config=FILE. Values that are not here are the defaults; flags.txt has those, too.
"""


def config_text(command: Command) -> str:
    """The file that repeats a run: the values that differ from the defaults."""
    helper_file = command.pair_options.model_helper
    absolute = {} if helper_file is None else {'model_helper': str(Path(helper_file).resolve())}
    document: dict[str, Any] = {}
    for section in SECTIONS:
        if section == STRATEGIES:
            document[section] = list(_strategies(command))
        elif section != 'run' and (values := dict(_changed(sections(command.pair.declaration)[section], command))):
            document[section] = {flag: absolute.get(flag, value) for flag, value in values.items()}
    return _HEADER + yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _strategies(command: Command) -> Iterator[dict[str, Any]]:
    written: set[str] = set()
    for name in command.learner_names:
        values = dict(_changed(learner_flags(name), command))
        yield {LEARNER: name, **{flag: value for flag, value in values.items() if flag not in written}}
        written |= set(values)


def _changed(flags: FlagOptions, command: Command) -> Iterator[tuple[str, Any]]:
    for flag, (_, field) in flags.items():
        value = command.flag_values[flag].value
        if value is not None and value != field.default:
            yield flag, value
