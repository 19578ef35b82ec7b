"""The sections of `--config=FILE.yaml`, and which flags each holds."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pocketflow.hp_optimizer.options import SearchOptions
from pocketflow.learners.options import LEARNERS, LearnerOptions
from pocketflow.learners.program.options import MainOptions, ProcessOptions
from pocketflow.nets.find_pair import PairOptions
from pocketflow.nets.options import NetOptions, PairDeclaration
from pocketflow.rl_agents.ddpg.options import DdpgOptions
from pocketflow.utils.distributed.gradient_compression.options import CompressionOptions
from pocketflow.utils.distributed.options import MultiGpuOptions
from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.lint.options import LintOptions
from pocketflow.utils.export.options import ExportOptions
from pocketflow.utils.options import Options, option_fields
from pocketflow.utils.options.config_file import CONFIG, LEARNER, STRATEGIES, Entry, read_config
from pocketflow.utils.reports.verdict import VerdictOptions
from pocketflow.utils.training.options import DistillationOptions, TrainerOptions

MODEL, DATA, TRAINING = 'model', 'data', 'training'
SECTIONS: dict[str, tuple[type[Options], ...]] = {
    MODEL: (PairOptions,),
    DATA: (),
    STRATEGIES: (),
    TRAINING: (NetOptions, MainOptions, LearnerOptions, TrainerOptions, DistillationOptions),
    'search': (SearchOptions, DdpgOptions),
    'export': (ExportOptions, LintOptions),
    'target': (VerdictOptions,),
    'workers': (MultiGpuOptions, CompressionOptions),
    'run': (ProcessOptions,),
}
"""Section -> the options whose flags it holds; the pair adds to model and data, and the learners to strategies."""
ELSEWHERE = {'dataset': DATA, 'labels': DATA, 'save_path': MODEL}
"""Flags that belong to another section than the other flags of their options."""
NOT_IN_FILES = {
    LEARNER: f'learners are listed in the section {STRATEGIES}',
    'trust_model': 'it runs the code in model files, and is therefore only accepted on the command line',
    CONFIG: 'files cannot name other files',
}


FlagOptions = dict[str, tuple[type[Options], dataclasses.Field[Any]]]
"""Flag -> (options class, its field)."""


def sections(pair: PairDeclaration) -> dict[str, FlagOptions]:
    """Section -> its flags, of a pair; without `strategies`."""
    held = {section: flag_options(*SECTIONS[section]) for section in SECTIONS if section != STRATEGIES}
    of_all_networks = flag_options(NetOptions)
    for flag, found in flag_options(pair.net_options_class).items():
        held[TRAINING if flag in of_all_networks else MODEL][flag] = found
    held[DATA] |= flag_options(pair.data_options_class)
    for flag, section in ELSEWHERE.items():
        held[section][flag] = next(flags.pop(flag) for name, flags in held.items() if name != section and flag in flags)
    for flags in held.values():
        for flag in NOT_IN_FILES:
            flags.pop(flag, None)
    return held


def learner_flags(learner: str) -> FlagOptions:
    """The flags of a learner."""
    return flag_options(LEARNERS.declaration(learner).options_class)


def flag_options(*options_classes: type[Options]) -> FlagOptions:
    return {field.metadata['flag']: (part, field) for part in options_classes for field in option_fields(part)}


def check_config(path: str, pair: PairDeclaration) -> None:
    """Rejects keys of a file that are unknown or in the wrong section.

    Args:
      path: the file.
      pair: the pair that the command line and the file name.

    Raises:
      UsageError: names the key, and the nearest known one.
    """
    held = sections(pair)
    for entry in read_config(path):
        try:
            _check(entry, held)
        except UsageError as error:
            raise UsageError(f'--{CONFIG}={path}: {error}') from None


def _check(entry: Entry, held: Mapping[str, Mapping[str, Any]]) -> None:
    if entry.section not in SECTIONS:
        raise UsageError(f'{entry.section}: unknown section{_nearest(entry.section, SECTIONS)}')
    if entry.learner is not None:
        LEARNERS.check(entry.learner)
        known: Mapping[str, Any] = {LEARNER: None, **learner_flags(entry.learner)}
    else:
        known = held[entry.section]
    if entry.flag in known:
        return
    if entry.flag in NOT_IN_FILES:
        raise UsageError(f'{entry.place}: {NOT_IN_FILES[entry.flag]}')
    other = [section for section, flags in held.items() if entry.flag in flags]
    learners = [name for name in LEARNERS if entry.flag in learner_flags(name)]
    if other:
        raise UsageError(f'{entry.place}: belongs to the section {other[0]}')
    if learners:
        raise UsageError(f'{entry.place}: belongs to an entry of {STRATEGIES} with {LEARNER}: {learners[0]}')
    raise UsageError(f'{entry.place}: unknown key{_nearest(entry.flag, known)}')


def _nearest(given: str, known: Iterable[str]) -> str:
    """The end of a message: the known word that is most similar, or all of them."""
    similar = difflib.get_close_matches(given, known, n=1)
    return f'; did you mean {similar[0]}?' if similar else f'; known: {", ".join(known)}'
