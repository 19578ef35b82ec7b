"""The texts of `--help` and `--helpfull`."""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from pocketflow.learners.options import LEARNERS
from pocketflow.learners.program.command import SEARCH_OPTIONS, SHARED_OPTIONS, FirstPass
from pocketflow.learners.program.options import MainOptions, ProcessOptions
from pocketflow.learners.program.subcommands import SUBCOMMANDS, overview
from pocketflow.learners.program.tools import SUMMARIES
from pocketflow.nets import PAIRS
from pocketflow.nets.find_pair import PairOptions, find_pair, given_usages
from pocketflow.nets.options import GIVEN
from pocketflow.utils.distributed.options import MultiGpuOptions
from pocketflow.utils.export.lint.options import LintOptions
from pocketflow.utils.options import Options, define_flags
from pocketflow.utils.reports.verdict import VerdictOptions

HELP_FLAGS = frozenset({'--help', '-h', '--helpfull', '-help'})


def usage(argv: Sequence[str], introduction: str) -> str:
    """The text of `--help`, or, with the flags of the chosen pair, of `--helpfull`."""
    full = '--helpfull' in argv
    pairs = [name.split('_at_') for name in PAIRS]
    lines = [
        introduction.strip(),
        '',
        'Commands (pocketflow NAME [flags]; each is a short form of flags):',
        overview(),
        *(f'  {name:16} {summary}' for name, summary in SUMMARIES.items()),
        '',
        'Model/dataset pairs:',
        *(f'  --model={model} --dataset={data}' for model, data in pairs if model != GIVEN),
        *(f'  {usage} --data_dir_local=IMAGES  (your own trained network and images)' for usage in given_usages()),
        '',
        'Learners (--learner=NAME, or NAME,NAME to chain):',
        *(f'  {name:16} {LEARNERS.declaration(name).summary}' for name in LEARNERS),
        '',
    ]
    classes = [PairOptions, MainOptions, ProcessOptions, VerdictOptions, LintOptions, MultiGpuOptions]
    if full:
        pair = FirstPass.at(argv).pair
        named = pair.model or pair.model_helper or f'{GIVEN}_at_{pair.dataset}' in PAIRS
        declaration = find_pair(pair).declaration if named else PAIRS.declaration(next(iter(PAIRS)))
        classes += [*SHARED_OPTIONS[1:], *SEARCH_OPTIONS, declaration.net_options_class, declaration.data_options_class]
        classes += [LEARNERS.declaration(name).options_class for name in LEARNERS]
    flag_values = flags.FlagValues()
    for options_class in classes:
        define_flags(options_class, flag_values, group=options_class.__name__)
    return '\n'.join(lines) + flag_values.get_help() + ('' if full else '\nAll flags: --helpfull\n')


def subcommand_usage(name: str) -> str:
    """The text of `pocketflow NAME --help`: the command, an example, and the flags that are most often given to it."""
    known = SUBCOMMANDS[name]
    flag_values = flags.FlagValues()
    classes: list[type[Options]] = [ProcessOptions, *known.options]
    for options_class in classes:
        define_flags(options_class, flag_values, group=options_class.__name__)
    lines = [f'pocketflow {name}: {known.summary}.', '', f'    pocketflow {name} {known.example}', '']
    if MainOptions in known.options:
        lines += ['Learners:', *(f'  {learner:16} {LEARNERS.declaration(learner).summary}' for learner in LEARNERS), '']
    return '\n'.join(lines) + flag_values.get_help() + '\nAll flags: --helpfull\n'
