"""Commands in front of the flags: `pocketflow export --run_dir=DIR` is `--exec_mode=export --run_dir=DIR`.

A command is a name for flags, and a check that the rest of the command line agrees with it; nothing else knows of them.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Sequence

from pocketflow.hp_optimizer.options import SearchOptions
from pocketflow.learners.options import LEARNERS, LearnerOptions
from pocketflow.learners.program.chains import FULL_PRECISION
from pocketflow.learners.program.command import Command
from pocketflow.learners.program.options import LINT, MainOptions, ProcessOptions
from pocketflow.nets.find_pair import PairOptions
from pocketflow.nets.options import NetOptions
from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.lint.options import LintOptions
from pocketflow.utils.export.options import ExportOptions
from pocketflow.utils.options import Options
from pocketflow.utils.reports.verdict import VerdictOptions
from pocketflow.utils.training.options import TrainerOptions


@dataclasses.dataclass(frozen=True)
class Subcommand:
    """A command.

    Attributes:
      summary: what it does, in one line.
      example: its flags in a typical call.
      mode: the execution mode that it stands for.
      objection: what of a command line contradicts the command, or '' if nothing does.
      options: the options that its `--help` lists.
    """

    summary: str
    example: str
    mode: str
    objection: Callable[[Command], str] = lambda command: ''
    options: tuple[type[Options], ...] = ()


def _trains_nothing_else(command: Command) -> str:
    if list(command.learner_names) == [FULL_PRECISION]:
        return ''
    return f'--learner={",".join(command.learner_names)} compresses; drop it, or use the command compress'


def _compresses(command: Command) -> str:
    if list(command.learner_names) != [FULL_PRECISION]:
        return ''
    known = ', '.join(name for name in LEARNERS if name != FULL_PRECISION)
    return f'--learner is missing: one of {known}, or several separated by commas'


def _searches(command: Command) -> str:
    if command.holds_out:
        return ''
    return (
        'nothing is searched: give --hpo_space=FILE.yaml, or a learner and its flag that turns on its search, such as '
        '--learner=chn-pruned-rmt --cpr_prune_option=auto (docs/search.md)'
    )


SUBCOMMANDS = {
    'train': Subcommand(
        'trains a network without compressing it',
        '--model=lenet --dataset=digits',
        'train',
        _trains_nothing_else,
        (PairOptions, NetOptions, TrainerOptions),
    ),
    'compress': Subcommand(
        'compresses a trained network, exports it, and measures the files',
        '--save_path=my.keras --dataset=folder --data_dir_local=PHOTOS --learner=chn-pruned-rmt,uniform-tf',
        'train',
        _compresses,
        (PairOptions, MainOptions, LearnerOptions, ExportOptions, VerdictOptions),
    ),
    'search': Subcommand(
        'compresses with values that are searched: per layer, or of any flags',
        '--model=lenet --dataset=digits --learner=chn-pruned-rmt --cpr_prune_option=auto --hp_optimizer=tpe',
        'train',
        _searches,
        (PairOptions, MainOptions, SearchOptions),
    ),
    'check': Subcommand(
        'tells within about a minute what a run would do, how long it would take, and whether it would fail',
        '--save_path=my.keras --dataset=folder --data_dir_local=PHOTOS --learner=chn-pruned-rmt,uniform-tf',
        'check',
        options=(PairOptions, MainOptions),
    ),
    'eval': Subcommand('evaluates the model of a finished run, or the one at --save_path', '--run_dir=DIR', 'eval'),
    'export': Subcommand(
        'exports the model of a finished run, or the one at --save_path, and measures the files',
        '--run_dir=DIR --export_formats=float16,int8',
        'export',
        options=(ExportOptions, VerdictOptions),
    ),
    'lint': Subcommand(
        'tells which accelerators run a .tflite file, and which operators fall off',
        '--tflite=model_int8.tflite',
        LINT,
        options=(LintOptions,),
    ),
    'benchmark': Subcommand('times the files of a finished run', '--run_dir=DIR', 'benchmark'),
}
"""The commands by name; each mode but `train` has one of its name."""


def without_subcommand(argv: Sequence[str]) -> tuple[list[str], str | None]:
    """(the command line with the flags that a command stands for in its place, the command or None).

    Args:
      argv: program name and arguments.

    Raises:
      UsageError: the first argument is a word that is no command.
    """
    if len(argv) < 2 or argv[1].startswith('-'):
        return list(argv), None
    name = argv[1]
    if name not in SUBCOMMANDS:
        similar = difflib.get_close_matches(name, SUBCOMMANDS, n=1)
        hint = f'; did you mean {similar[0]}?' if similar else ''
        raise UsageError(
            f'{name}: unknown command{hint} (known: {", ".join(SUBCOMMANDS)}; flags look like --name=value)'
        )
    mode = SUBCOMMANDS[name].mode
    return [argv[0], *([] if mode == 'train' else [f'--exec_mode={mode}']), *argv[2:]], name


def check_subcommand(name: str, command: Command) -> None:
    """Rejects flags that contradict a command.

    Raises:
      UsageError: says which, and what to do.
    """
    known = SUBCOMMANDS[name]
    mode = command.options(ProcessOptions).exec_mode
    objection = f'--exec_mode={mode} is another command; drop it' if mode != known.mode else known.objection(command)
    if objection:
        raise UsageError(f'pocketflow {name}: {objection}')


def overview() -> str:
    """The commands, one per line, for `--help`."""
    return '\n'.join(f'  {name:16} {known.summary}' for name, known in SUBCOMMANDS.items())
