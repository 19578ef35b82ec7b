"""`pocketflow serve init RUN`, `serve test RUN` and `serve manifests FOLDER`: the command line, and what it calls."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import Options, define_flags, from_flags
from pocketflow.utils.options.parsing import parse
from pocketflow.utils.serving.options import InitOptions, ManifestOptions, ReplayOptions

SUMMARY = 'serves exported files with MLServer: pocketflow serve init|test|manifests RUN [flags]'
HELP = frozenset({'--help', '-h', '-help', '--helpfull'})


@dataclasses.dataclass(frozen=True)
class Action:
    """One of the actions.

    Attributes:
      summary: what it does, in one line.
      takes: its argument.
      options: the class of its flags.
      run: does it, given argument and flags; returns what is printed.
    """

    summary: str
    takes: str
    options: type[Options]
    run: Callable[[Path, Any], str]


def _init(path: Path, options: InitOptions) -> str:
    from pocketflow.learners.program.serving.initialising import init

    return init(path, options)


def _test(path: Path, options: ReplayOptions) -> str:
    from pocketflow.learners.program.serving.testing import test

    return test(path, options)


def _manifests(path: Path, options: ManifestOptions) -> str:
    from pocketflow.utils.serving.manifests import manifests
    from pocketflow.utils.serving.model_folder import read_folder

    return manifests(read_folder(path), options).rstrip('\n')


ACTIONS = {
    'init': Action('writes a folder that MLServer serves', 'RUN', InitOptions, _init),
    'test': Action('starts MLServer, sends it evaluation samples, and compares', 'RUN_OR_FOLDER', ReplayOptions, _test),
    'manifests': Action('prints resources for Seldon Core or KServe', 'FOLDER', ManifestOptions, _manifests),
}
OPTIONS = tuple(action.options for action in ACTIONS.values())


def serve(arguments: Sequence[str]) -> str:
    """Does what the arguments say, and returns what is to be printed.

    Raises:
      UsageError: they name no action, or do not fit it; or as the action does.
    """
    name = next((word for word in arguments if not word.startswith('-')), None)
    if HELP & set(arguments):
        return usage(name if name in ACTIONS else None)
    if name not in ACTIONS or arguments[0] != name:
        given = f'{name}: unknown action' if name and name not in ACTIONS else 'an action has to come first'
        raise UsageError(f'pocketflow serve: {given}; give one of {", ".join(ACTIONS)} (pocketflow serve --help)')
    action, words = ACTIONS[name], [word for word in arguments[1:] if not word.startswith('-')]
    if len(words) != 1 or not words[0]:
        what = f'{len(words)} arguments' if words else 'no argument'
        raise UsageError(
            f'pocketflow serve {name}: {what}; give one {action.takes}, and flags as --name=value, as in '
            f'pocketflow serve {name} {action.takes}'
        )
    given_flags = [word for word in arguments[1:] if word.startswith('-')]
    options = from_flags(action.options, parse((action.options,), [f'serve {name}', *given_flags]))
    return action.run(Path(words[0]), options)


def usage(name: str | None) -> str:
    """The text of `--help`, of one action or of all."""
    shown = ACTIONS if name is None else {name: ACTIONS[name]}
    lines = [f'pocketflow serve {each} {action.takes} [flags]: {action.summary}.' for each, action in shown.items()]
    flag_values = flags.FlagValues()
    for each, action in shown.items():
        define_flags(action.options, flag_values, group=f'serve {each}')
    return '\n'.join(lines) + '\n' + flag_values.get_help()
