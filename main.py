"""PocketFlow's command line: flags -> model/dataset pair -> learner(s) -> run directory.

    python main.py --model=resnet --dataset=cifar10 --learner=chn-pruned-rmt --cpr_prune_ratio=0.5

Every run owns one directory: --run_dir, or one below runs/ that is named after its flags.
"""
# The text above begins --help. Only this file accesses absl's parsed flags; all other code takes plain values.

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path


def import_own_package() -> None:
    """Imports the folder of this file as `pocketflow`, independent of the folder's name and of installed packages."""
    root = Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location('pocketflow', root / '__init__.py')
    assert spec is not None and spec.loader is not None, 'there is a loader for files that end in .py'
    package = sys.modules['pocketflow'] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    # A module that is also importable under a second name would be registered twice.
    sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != root]


if __name__ == '__main__':  # `python main.py`, not the installed command
    import_own_package()

from pocketflow.utils.system import interrupts

if __name__ == '__main__':
    interrupts.end_at_once()

from absl import logging

from pocketflow.learners.program.command import FirstPass
from pocketflow.learners.program.options import LINT
from pocketflow.learners.program.preparing import prepared_command
from pocketflow.learners.program.subcommands import without_subcommand
from pocketflow.learners.program.tools import TOOLS
from pocketflow.learners.program.usage import HELP_FLAGS, subcommand_usage, usage
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.runs import log_file
from pocketflow.utils.system import paths
from pocketflow.utils.system.storage_failures import storage_failure
from pocketflow.utils.system.streams import say
from pocketflow.utils.system.tensorflow_start import load_tensorflow

# Nothing above loads TensorFlow, so that --help and usage errors are fast; `start`, which loads it, is imported below.


def guarded(action: Callable[[], None], debug: bool) -> int:
    """Runs `action`; prints an error as one line and returns the exit code."""
    try:
        with interrupts.watched():
            action()
        return 0
    except interrupts.Interrupted as stop:
        logging.info('%s; the same command continues from here', stop)
        return stop.exit_code
    except Exception as error:
        line, exit_code = error_message(error)
        if line is None:
            raise
        if debug:
            traceback.print_exc()
        say(f'error: {line}', sys.stderr)
        return exit_code


def error_message(error: Exception) -> tuple[str | None, int]:
    """The message for the user and the exit code; the message is None for an unexpected error."""
    if isinstance(error, PocketFlowError) and error.exit_code != PocketFlowError.exit_code:
        return str(error), error.exit_code
    # A full disk may be the cause of such an error; then the message names the disk.
    message = str(error) if isinstance(error, PocketFlowError) else None
    return storage_failure(error) or message, PocketFlowError.exit_code


def dispatch(argv: Sequence[str], first_pass: FirstPass | None) -> None:
    """Parses and checks the command line, loads TensorFlow, and starts the work in the run directory."""
    if len(argv) > 1 and argv[1] in TOOLS:
        with paths.path_errors_reported():
            say(TOOLS[argv[1]](argv[2:]))
        return
    argv, subcommand = without_subcommand(argv)
    if HELP_FLAGS & set(argv):
        say(usage(argv, __doc__) if subcommand is None or '--helpfull' in argv else subcommand_usage(subcommand))
        return
    if first_pass is not None and first_pass.process.exec_mode == LINT:
        from pocketflow.learners.program.linting import lint

        lint(argv)
        return
    with interrupts.ended_at_once():  # nothing has to be saved yet
        command = prepared_command(argv, first_pass, subcommand)
        load_tensorflow()
        from pocketflow.learners.program.start import start
    start(command)


def run(argv: Sequence[str]) -> int:
    """Executes a command line and returns the exit code."""
    try:
        first_pass = FirstPass.at(without_subcommand(argv)[0])
        debug = first_pass.process.debug
    except PocketFlowError:  # raised again, and reported, in `dispatch`
        first_pass, debug = None, '--debug' in argv
    log_file.start(debug)
    return guarded(lambda: dispatch(argv, first_pass), debug)


def console_main() -> None:
    """Entry point of the `pocketflow` command."""
    code = run(sys.argv)
    if code in interrupts.EXIT_CODES:
        interrupts.leave(code)
    sys.exit(code)


if __name__ == '__main__':
    console_main()
