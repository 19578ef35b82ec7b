"""From arguments to a checked command: all that happens before TensorFlow is loaded.

The command line and `pocketflow.Compressor` both call `prepared_command`, and then `start.start`.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import logging

from pocketflow.learners.program.checks import checked_command
from pocketflow.learners.program.command import Command, FirstPass
from pocketflow.learners.program.needed_files import refuse_missing_files
from pocketflow.utils.system import paths


def prepared_command(
    argv: Sequence[str], first_pass: FirstPass | None = None, subcommand: str | None = None
) -> Command:
    """Parses and checks a command line and looks for the files that it names; nothing is written.

    Args:
      argv, first_pass, subcommand: as for `checks.checked_command`.

    Raises:
      UsageError: flags or files are wrong or missing, or the run directory is that of another run.
    """
    with paths.path_errors_reported():
        command = checked_command(argv, first_pass, subcommand)
        refuse_missing_files(command)
    for flag, reason in command.superseded().items():
        logging.warning('--%s has no effect any more: %s', flag, reason)
    return command
