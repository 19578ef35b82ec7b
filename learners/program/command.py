"""The parsed command line as options objects."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from absl import flags

from pocketflow.datasets.options import DatasetOptions
from pocketflow.hp_optimizer.options import SearchOptions
from pocketflow.learners.options import LEARNERS, LearnerOptions
from pocketflow.learners.program.chains import check_chain
from pocketflow.learners.program.config import check_config
from pocketflow.learners.program.options import MODES_OF_NEW_RUNS, MainOptions, ProcessOptions
from pocketflow.learners.search.options import SearchedOptions
from pocketflow.nets.find_pair import Pair, PairOptions, find_pair, helper_lines
from pocketflow.nets.options import PairDeclaration
from pocketflow.rl_agents.ddpg.options import DdpgOptions
from pocketflow.utils.distributed.gradient_compression.options import CompressionOptions
from pocketflow.utils.distributed.options import MultiGpuOptions
from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.lint.options import LintOptions
from pocketflow.utils.export.options import ExportOptions
from pocketflow.utils.options import Options, OptionsT, from_flags, superseded_flags
from pocketflow.utils.options.needs import flags_in_effect
from pocketflow.utils.options.parsing import parse
from pocketflow.utils.reports.verdict import VerdictOptions
from pocketflow.utils.runs.run_directory import FLAGS_FILE, RunDirectory
from pocketflow.utils.training.options import DistillationOptions, TrainerOptions

SHARED_OPTIONS = (MainOptions, LearnerOptions, TrainerOptions, DistillationOptions, ExportOptions, CompressionOptions)
SEARCH_OPTIONS = (SearchOptions, DdpgOptions)
UNRECORDED_OPTIONS = (ProcessOptions, VerdictOptions, LintOptions, MultiGpuOptions)


@dataclasses.dataclass(frozen=True)
class FirstPass:
    """First pass over the command line: the pair, which determines the set of flags, and the run directory.

    A command line is parsed twice: first for these flags only, then strictly with all flags. Modes that work on a
    finished run also read the flags recorded in that run, which name its pair.

    Attributes:
      pair, process, shared: these options, from the given flags only.
    """

    pair: PairOptions
    process: ProcessOptions
    shared: LearnerOptions

    @classmethod
    def at(cls, argv: Sequence[str]) -> FirstPass:
        """Parses the flags that determine the set of flags; ignores all others."""
        values = parse((PairOptions, ProcessOptions, LearnerOptions), argv, known_only=True)
        return cls(
            from_flags(PairOptions, values), from_flags(ProcessOptions, values), from_flags(LearnerOptions, values)
        )


@dataclasses.dataclass(frozen=True)
class Command:
    """A parsed command line with all values in range; `check_command` checks their combinations.

    Attributes:
      argv: program name and arguments, as given.
      of_run: the argument that reads the flags of the finished run that the mode works on; empty for other modes.
      pair_options, pair: the model/dataset pair.
      helper_lines: comment lines for flag files with a digest of the user's own pair.
      learner_names: the chain of learners.
      flag_values: all flags.
    """

    argv: Sequence[str]
    of_run: Sequence[str]
    pair_options: PairOptions
    pair: Pair
    helper_lines: Sequence[str]
    learner_names: Sequence[str]
    flag_values: flags.FlagValues

    def options(self, options_class: type[OptionsT]) -> OptionsT:
        return from_flags(options_class, self.flag_values)

    @property
    def trusts_models(self) -> bool:
        """Whether code in model files may be run: only if the user says so in this call, not the record of a run."""
        return FirstPass.at(self.argv).process.trust_model

    @property
    def pretrained(self) -> str | None:
        """The value of `--pretrained`; None if it is not given, or the pair has no such flag."""
        net = self.options(self.pair.declaration.net_options_class)
        value = getattr(net, 'pretrained', None)
        assert value is None or isinstance(value, str)
        return value

    def options_classes(self, learners: Iterable[str] = LEARNERS) -> list[type[Options]]:
        """The options classes of all flags for this pair and these learners."""
        return options_classes(self.pair.declaration, learners)

    @property
    def searches(self) -> bool:
        """Whether the run includes a search."""
        return self.options(SearchOptions).space is not None or any(
            isinstance(options, SearchedOptions) and options.searches for options in self.learner_options().values()
        )

    @property
    def holds_out(self) -> bool:
        """Whether held-out samples decide on something, as in a search."""
        return self.searches or any(
            isinstance(options, SearchedOptions) and options.holds_out for options in self.learner_options().values()
        )

    def data_options(self) -> DatasetOptions:
        """Options of the data set; what decides by held-out samples, such as a search, does not train on them."""
        options = self.options(self.pair.declaration.data_options_class)
        return options.replace(hold_out=True) if self.holds_out else options

    def learner_options(self) -> dict[str, Options]:
        return {name: self.options(LEARNERS.declaration(name).options_class) for name in self.learner_names}

    def flags_in_effect(self) -> tuple[list[str], list[str]]:
        """As `pocketflow.utils.options.needs.flags_in_effect`, of the pair and the selected learners."""
        parts = [part for part in self.options_classes(self.learner_names) if part not in UNRECORDED_OPTIONS]
        return flags_in_effect(
            [part for part in parts if part not in SEARCH_OPTIONS or self.searches], self.flag_values
        )

    def superseded(self) -> dict[str, str]:
        """Given flags of the original that no longer have an effect -> the reason."""
        return {
            flag: reason
            for flag, reason in superseded_flags(self.options_classes()).items()
            if self.flag_values[flag].present
        }


def options_classes(pair: PairDeclaration, learners: Iterable[str] = LEARNERS) -> list[type[Options]]:
    """The options classes of all flags for a pair and these learners."""
    return [
        PairOptions,
        *SHARED_OPTIONS,
        *SEARCH_OPTIONS,
        *UNRECORDED_OPTIONS,
        pair.net_options_class,
        pair.data_options_class,
        *(LEARNERS.declaration(name).options_class for name in learners),
    ]


def read_command(argv: Sequence[str], first_pass: FirstPass | None = None) -> Command:
    """Parses a command line; reads only flag files, `--config` and the user's own pair, and writes nothing.

    Args:
      argv: program name and arguments.
      first_pass: the result of the first pass over them, if available.

    Raises:
      UsageError: unknown flags, values out of range, an unknown pair or learner, a pair with code that is named in
        the record of a run only.
    """
    first_pass = first_pass or FirstPass.at(argv)
    of_run = flags_of_run(first_pass)
    with_run = [argv[0], *of_run, *argv[1:]]
    pair_options = FirstPass.at(with_run).pair if of_run else first_pass.pair
    _refuse_recorded_code(first_pass, pair_options)
    pair = find_pair(pair_options)
    if first_pass.process.config is not None:
        check_config(first_pass.process.config, pair.declaration)
    values = parse(options_classes(pair.declaration), with_run)
    return Command(
        tuple(argv),
        tuple(of_run),
        pair_options,
        pair,
        tuple(helper_lines(pair_options)),
        learner_names(from_flags(MainOptions, values).learner),
        values,
    )


def _refuse_recorded_code(first_pass: FirstPass, pair: PairOptions) -> None:
    """Raises a `UsageError` if only the record of a run, which may be somebody else's, names a file with code."""
    if pair.model_helper is not None and first_pass.pair.model_helper is None:
        raise UsageError(
            f'--run_dir={first_pass.process.run_dir}: is a run of --model_helper={pair.model_helper}, whose code is '
            'run only if this command names it, too; give that flag again if you trust the file'
        )


def learner_names(chain: str) -> list[str]:
    """The known learners of `--learner=a,b`."""
    names = [name.strip() for name in chain.split(',')]
    if '' in names:
        raise UsageError(f'--learner={chain}: an empty name; give one learner, or several separated by single commas')
    for name in names:
        LEARNERS.check(name)
    check_chain(names)
    return names


def flags_of_run(first_pass: FirstPass) -> list[str]:
    """The argument that reads the recorded flags of a finished run, to precede those of a mode that works on it."""
    process = first_pass.process
    if process.exec_mode in MODES_OF_NEW_RUNS or process.run_dir is None:
        return []
    run = RunDirectory(process.run_dir)
    if run.recorded_flags():
        return [f'--flagfile={run / FLAGS_FILE}']
    if is_export_of_given_model(process, first_pass.shared):
        return []
    raise UsageError(
        f'--run_dir={process.run_dir}: holds no run ({FLAGS_FILE} is missing); --exec_mode='
        f'{process.exec_mode} works on a finished one'
    )


def is_export_of_given_model(process: ProcessOptions, shared: LearnerOptions) -> bool:
    """Whether a model from outside a run may be exported: `--exec_mode=export --save_path=MODEL`."""
    return process.exec_mode == 'export' and shared.save_path is not None
