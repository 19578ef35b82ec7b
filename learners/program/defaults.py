"""Values of flags that were not given: those that other flags imply, and defaults that learners set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pocketflow.learners.options import LEARNERS
from pocketflow.learners.program.chains import FULL_PRECISION
from pocketflow.learners.program.command import Command
from pocketflow.learners.program.identity import default_run_paths, later_flags
from pocketflow.learners.program.options import ProcessOptions
from pocketflow.utils.options.implied import implied_values, not_given, set_values
from pocketflow.utils.runs.run_directory import RunDirectory


def apply_defaults(command: Command) -> None:
    """Sets the flags of a command that were not given.

    A run that began with the defaults that all learners share, before those of its learners were introduced, is
    continued with them.
    """
    values = command.flag_values
    set_values(implied_values(command.options_classes(command.learner_names), values), values)
    own = not_given(learner_defaults(command.learner_names), values)
    shared = {flag: values[flag].default for flag in own}
    set_values(shared if _began_with(command, shared, own) else own, values)


def learner_defaults(names: Sequence[str]) -> dict[str, Any]:
    """Shared flag -> its default for a chain of learners; none for one that begins with training a network.

    >>> learner_defaults(['chn-pruned-rmt', 'uniform'])
    {'enbl_dst': True}
    """
    if names[0] == FULL_PRECISION:  # which would be trained with a teacher, too
        return {}
    return {flag: value for name in names for flag, value in LEARNERS.declaration(name).defaults.items()}


def _began_with(command: Command, shared: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    """Whether there is a former run of this command with the values `shared`, and none with `own`.

    Runs of this program's version name all of its flags; without `--run_dir`, they are not taken for former ones.
    """
    folder = command.options(ProcessOptions).run_dir
    if folder:
        recorded = RunDirectory(folder).recorded_flags()
        return any(f'--{flag}={str(value).lower()}' in recorded for flag, value in shared.items())
    set_values(own, command.flag_values)
    if default_run_paths(command):
        return False
    set_values(shared, command.flag_values)
    # Present runs with these values were begun by giving them, so that they are others.
    return any(later_flags(command, RunDirectory(path).recorded_flags()) for path in default_run_paths(command))
