"""Rejects flags made ineffective by other flags, before any data is read."""

from __future__ import annotations

from collections.abc import Sequence

from pocketflow.datasets.image_options import NO_LABELS
from pocketflow.hp_optimizer.options import SearchOptions
from pocketflow.learners.options import LEARNERS, LearnerOptions
from pocketflow.learners.program.chains import FULL_PRECISION, starts_from_baseline, trains_from_scratch
from pocketflow.learners.program.command import SEARCH_OPTIONS, UNRECORDED_OPTIONS, Command, FirstPass, read_command
from pocketflow.learners.program.defaults import apply_defaults
from pocketflow.learners.program.options import FLAGS_OF_MODES, MODES_OF_NEW_RUNS, ProcessOptions
from pocketflow.learners.program.subcommands import check_subcommand
from pocketflow.learners.search.options import SearchedOptions
from pocketflow.learners.search.searchable import refuse_nested
from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.format_names import CONTAINER
from pocketflow.utils.export.lint.options import LintOptions
from pocketflow.utils.export.options import ExportOptions
from pocketflow.utils.options import indecisive_flags, option_fields
from pocketflow.utils.options.needs import refuse_idle_flags, refuse_replaced_flags
from pocketflow.utils.options.parsing import parse
from pocketflow.utils.reports.verdict import VerdictOptions, refuse_conditions
from pocketflow.utils.training.options import DistillationOptions


def checked_command(argv: Sequence[str], first_pass: FirstPass | None = None, subcommand: str | None = None) -> Command:
    """Parses a command line with `read_command` and checks the combination of its flags.

    Args:
      argv, first_pass: as for `read_command`.
      subcommand: the command that stood in front of the flags, if any.

    Raises:
      UsageError: as for `read_command`, or flags contradict each other or would have no effect.
    """
    command = read_command(argv, first_pass)
    apply_defaults(command)
    if subcommand is not None:
        check_subcommand(subcommand, command)
    check_command(command)
    return command


def check_command(command: Command) -> None:
    """Raises a `UsageError` if flags contradict each other or would have no effect."""
    refuse_timing_of_containers(command)
    refuse_impossible_formats(command)
    refuse_unused_flags(command)
    refuse_unused_search_flags(command)
    refuse_other_than_recorded(command)
    refuse_flags_without_effect(command)
    refuse_contradictions(command)


def refuse_timing_of_containers(command: Command) -> None:
    """Rejects --require_faster if only containers are exported, which cannot be timed."""
    export, process = command.options(ExportOptions), command.options(ProcessOptions)
    is_required = command.options(VerdictOptions).require_faster and process.exec_mode in MODES_OF_NEW_RUNS
    if is_required and export.names and set(export.names) <= {CONTAINER}:
        raise UsageError(
            f'--require_faster: none of --export_formats={export.formats} can be timed; add a .tflite '
            'format, or drop --require_faster'
        )


def refuse_impossible_formats(command: Command) -> None:
    """Rejects export formats that cannot hold the model of the last learner: they would fail after the training."""
    name, formats = command.learner_names[-1], command.options(ExportOptions).names
    possible = LEARNERS.declaration(name).exports_only
    impossible = [each for each in formats if possible and each not in possible]
    if impossible:
        raise UsageError(
            f'--export_formats={",".join(formats)}: the model of --learner={name} cannot be exported as '
            f'{impossible[0]}, only as {", ".join(possible)}; drop {impossible[0]}, or choose another learner'
        )


def refuse_unused_flags(command: Command) -> None:
    """Rejects flags of learners that are not selected."""
    used = {
        field.metadata['flag']
        for name in command.learner_names
        for field in option_fields(LEARNERS.declaration(name).options_class)
    }
    for name in LEARNERS:
        for field in option_fields(LEARNERS.declaration(name).options_class):
            flag = field.metadata['flag']
            if command.flag_values[flag].present and flag not in used:
                raise UsageError(
                    f'--{flag} belongs to --learner={name}, but --learner='
                    f'{",".join(command.learner_names)} is selected; change the learner or drop the flag'
                )


def refuse_unused_search_flags(command: Command) -> None:
    """Rejects flags of searches if there is no search."""
    given = [
        field
        for options_class in SEARCH_OPTIONS
        for field in option_fields(options_class)
        if command.flag_values[field.metadata['flag']].present
    ]
    if given and not command.searches:
        raise UsageError(
            f'--{given[0].metadata["flag"]} is about searches, but nothing is searched; also give '
            f'{", ".join(search_flags())} or --hpo_space=FILE.yaml, or drop the flag'
        )


def search_flags() -> list[str]:
    """The flags that turn on the search of a learner, of all learners."""
    classes = [LEARNERS.declaration(name).options_class for name in LEARNERS]
    flags = [options_class.search_flag for options_class in classes if issubclass(options_class, SearchedOptions)]
    return [flag for flag in flags if flag]


def refuse_other_than_recorded(command: Command) -> None:
    """Rejects decisive flags that differ from those of the finished run that a mode works on."""
    if not command.of_run:
        return
    process = command.options(ProcessOptions)
    classes = [part for part in command.options_classes() if part not in UNRECORDED_OPTIONS]
    free = {'model_helper', *FLAGS_OF_MODES[process.exec_mode], *indecisive_flags(classes)}
    given, recorded = (
        parse(command.options_classes(), argv) for argv in (command.argv, [command.argv[0], *command.of_run])
    )
    for flag in (field.metadata['flag'] for part in classes for field in option_fields(part)):
        value, before = given[flag].value, recorded[flag].value
        if flag not in free and given[flag].present and value != before:
            made = 'without it' if before is None else f'with --{flag}={before}'
            raise UsageError(
                f'--{flag}={value}: --exec_mode={process.exec_mode} works on the run in '
                f'{process.run_dir}, which was made {made}; drop the flag'
            )


def refuse_flags_without_effect(command: Command) -> None:
    """Rejects flags made ineffective by other flags; those of a finished run were checked when it began."""
    if command.options(ProcessOptions).exec_mode not in MODES_OF_NEW_RUNS:
        refuse_idle_flags((*UNRECORDED_OPTIONS, ExportOptions), command.flag_values)
        return
    refuse_idle_flags(
        command.options_classes(command.learner_names),
        command.flag_values,
        searched_flags(command.options(SearchOptions).space),
    )
    padding = command.options(LearnerOptions).crop_padding_finetune
    if padding is not None and 'crop_padding' not in command.flag_values:
        raise UsageError(
            f'--crop_padding_ft={padding} would have no effect: --dataset={command.pair_options.dataset} does not '
            'shift training images by --crop_padding; drop the flag'
        )
    refuse_replaced_flags(
        {name: LEARNERS.declaration(name).replaced_flags for name in command.learner_names},
        LearnerOptions,
        command.flag_values,
    )


def searched_flags(space: str | None) -> frozenset[str]:
    """The flags named in the file of a search space."""
    if space is None:
        return frozenset()
    from pocketflow.hp_optimizer.space_file import names_in_space  # loads NumPy

    return names_in_space(space)


def given_network(command: Command) -> str | None:
    """The flag that gives a trained network, with its value; None without one.

    Raises:
      UsageError: there are two.
    """
    path, pretrained = command.options(LearnerOptions).save_path, command.pretrained
    if pretrained is not None and path is not None:
        raise UsageError(f'--pretrained={pretrained} and --save_path={path} both give a trained network; drop one')
    if pretrained is not None:
        return f'--pretrained={pretrained}'
    return None if path is None else f'--save_path={path}'


def refuse_contradictions(command: Command) -> None:
    """Rejects contradictory combinations of flags."""
    process, shared = command.options(ProcessOptions), command.options(LearnerOptions)
    distillation, verdict = command.options(DistillationOptions), command.options(VerdictOptions)
    names = command.learner_names
    if command.pair.declaration.needs_model and shared.save_path is None:
        raise UsageError(
            f'--save_path is missing: with --dataset={command.pair_options.dataset} it names the trained network, '
            'a .keras file for example'
        )
    chosen, given = f'--learner={",".join(names)}', given_network(command)
    if process.exec_mode in MODES_OF_NEW_RUNS and FULL_PRECISION in names and not command.data_options().has_labels:
        raise UsageError(
            f'--labels={NO_LABELS}: {chosen} trains the network on labels; choose a learner that compresses, such as '
            '--learner=chn-pruned-rmt'
        )
    if FULL_PRECISION in names[1:]:
        raise UsageError(f'{chosen}: {FULL_PRECISION} trains the uncompressed model, so it can only come first')
    if shared.warm_start and (names[0] != FULL_PRECISION or given is None):
        raise UsageError(
            f'--enbl_warm_start needs --learner={FULL_PRECISION} and --save_path=MODEL; given: '
            f'{chosen} {given or "--save_path="}'
        )
    if process.exec_mode in MODES_OF_NEW_RUNS and command.options(SearchOptions).space is not None:
        if names[0] == FULL_PRECISION:
            raise UsageError(
                f'{chosen}: --hpo_space searches flags of learners that compress; drop {FULL_PRECISION}: the '
                'model to compress is found, or trained, automatically'
            )
        refuse_nested(command.learner_options())
    if process.exec_mode in ('eval', 'benchmark'):
        refuse_conditions(verdict, f'--exec_mode={process.exec_mode} makes no verdict')
    required = command.options(LintOptions).require_full_delegation
    if required is not None and process.exec_mode in ('check', 'eval', 'benchmark'):
        raise UsageError(
            f'--require_full_delegation={required} would have no effect with --exec_mode={process.exec_mode}, which '
            'exports nothing; drop one of the two'
        )
    if (
        process.exec_mode in MODES_OF_NEW_RUNS
        and trains_from_scratch(names, shared, distillation)
        and given is not None
    ):
        raise UsageError(
            f'{given}: {chosen} starts from random weights; choose another learner, or give --enbl_warm_start'
        )
    if not starts_from_baseline(names, shared):
        refuse_conditions(verdict, f'{chosen} compresses nothing')
