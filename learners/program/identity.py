"""Names of run directories and of trained models, derived from their flags."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pocketflow.hp_optimizer.options import SearchOptions
from pocketflow.learners.options import LearnerOptions
from pocketflow.learners.program.chains import FULL_PRECISION, training_fingerprint
from pocketflow.learners.program.command import SEARCH_OPTIONS, SHARED_OPTIONS, Command, is_export_of_given_model
from pocketflow.learners.program.options import MODES_OF_NEW_RUNS, RUNS_CODE, MainOptions, ProcessOptions
from pocketflow.utils.distributed.gradient_compression.options import CompressionOptions
from pocketflow.utils.options import flag_lines, indecisive_flags
from pocketflow.utils.runs.run_directory import FLAGS_FILE, REPORT, RunDirectory, fingerprint
from pocketflow.utils.training.options import DistillationOptions, TrainerOptions

SPACE_NOTE = '# sha256 of --hpo_space'
"""Prefix of the flag file's comment with the digest of the search space."""
WORKERS_NOTE = '# workers'
"""Prefix of the flag file's comment with the number of workers; absent for one worker."""


def recorded_lines(command: Command, decisive: bool = False, num_workers: int = 1) -> list[str]:
    """Lines of the flag file that repeats a run, or only those that decide results."""
    helper_file = command.pair_options.model_helper
    pair = command.pair_options.replace(model_helper=helper_file and str(Path(helper_file).resolve()))
    net = command.options(command.pair.declaration.net_options_class)
    search = SEARCH_OPTIONS if command.searches else ()
    parts = [
        pair,
        *map(command.options, (*SHARED_OPTIONS, *search)),
        net,
        command.data_options(),
        *command.learner_options().values(),
    ]
    return [
        *flag_lines(parts, decisive),
        *command.helper_lines,
        *space_lines(command.options(SearchOptions).space),
        *workers_lines(num_workers),
    ]


def training_name(command: Command, num_workers: int = 1) -> str:
    """Name of the full-precision model that a command line would train, for look-ups in the zoo."""
    parts = [
        command.options(command.pair.declaration.net_options_class),
        command.data_options(),
        command.options(TrainerOptions),
        MainOptions(seed=command.options(MainOptions).seed),
    ]
    together = [*workers_lines(num_workers), *compression_lines(command.options(CompressionOptions), num_workers)]
    return training_fingerprint(command.pair.name, parts, [*command.helper_lines, *together])


def run_path(command: Command, num_workers: int = 1) -> Path:
    """`--run_dir`, or a directory that is a function of the decisive flags."""
    given = command.options(ProcessOptions).run_dir
    if given:
        return Path(given)
    path = default_run_path(command, num_workers)
    exports_given_model = is_export_of_given_model(command.options(ProcessOptions), command.options(LearnerOptions))
    if exports_given_model and not RunDirectory(path).recorded_flags():
        return path.parent / f'export-{fingerprint(recorded_lines(command, decisive=True))}'
    return path


def default_run_path(command: Command, num_workers: int = 1) -> Path:
    """The run directory without `--run_dir`.

    Unfinished runs of other numbers of workers are continued; finished ones can be evaluated and exported.
    """
    own = own_path(command, num_workers)
    if RunDirectory(own).recorded_flags():
        return own
    wanted = command.options(ProcessOptions).exec_mode not in MODES_OF_NEW_RUNS
    others = [path for path in default_run_paths(command) if (path / REPORT).is_file() == wanted]
    return max(others, key=lambda path: (path / FLAGS_FILE).stat().st_mtime, default=own)


def own_path(command: Command, num_workers: int) -> Path:
    """The directory of a new run with `num_workers` workers."""
    shared, distillation = command.options(LearnerOptions), command.options(DistillationOptions)
    name = fingerprint(recorded_lines(command, decisive=True)) + (f'-{num_workers}workers' if num_workers > 1 else '')
    if list(command.learner_names) == [FULL_PRECISION] and not (shared.warm_start or distillation.enabled):
        # Runs with the same pair and training flags search for the model there.
        return Path(shared.zoo_dir) / f'{training_name(command, num_workers)}-{name}'
    return Path(shared.zoo_dir) / command.pair.name / f'{"+".join(command.learner_names)}-{name}'


def default_run_paths(command: Command) -> list[Path]:
    """Existing directories of runs with these flags and any number of workers."""
    pattern = f'{"+".join(command.learner_names)}-*{fingerprint(recorded_lines(command, decisive=True))}*'
    folder = Path(command.options(LearnerOptions).zoo_dir) / command.pair.name
    return [file.parent for file in sorted(folder.glob(f'{pattern}/{FLAGS_FILE}'))]


def free_flags(command: Command, recorded: Sequence[str]) -> tuple[str, ...]:
    """Flags and comments that may differ from the record of a run that is continued or used.

    A finished run can be used without the file of its search space.

    Args:
      command: the command line.
      recorded: the lines of the run's flag file.
    """
    notes: tuple[str, ...] = () if command.options(ProcessOptions).exec_mode in MODES_OF_NEW_RUNS else (SPACE_NOTE,)
    notes += (WORKERS_NOTE, RUNS_CODE)
    return (*indecisive_flags(command.options_classes()), *notes, *later_flags(command, recorded))


def later_flags(command: Command, recorded: Sequence[str]) -> list[str]:
    """Flags with their defaults that a flag file does not name: it was written before they were introduced."""
    known, values = {_flag(line) for line in recorded}, command.flag_values
    flags = [_flag(line) for line in recorded_lines(command) if line.startswith('--')]
    return [flag for flag in flags if flag not in known and values[flag].value == values[flag].default]


def _flag(line: str) -> str:
    return line.removeprefix('--').split('=')[0]


def space_lines(space: str | None) -> list[str]:
    """Comment line for the flag file with a digest of the `--hpo_space` file; empty without one."""
    if space is None or not Path(space).is_file():
        return []
    return [f'{SPACE_NOTE}={hashlib.sha256(Path(space).read_bytes()).hexdigest()[:8]}']


def workers_lines(num_workers: int) -> list[str]:
    """Comment line for the flag file with the number of workers; empty for one."""
    return [f'{WORKERS_NOTE}={num_workers}'] if num_workers > 1 else []


def recorded_num_workers(recorded_flags: Sequence[str]) -> int | None:
    """Number of workers of the run with these recorded flags; None if there is no run."""
    notes = [line.removeprefix(f'{WORKERS_NOTE}=') for line in recorded_flags if line.startswith(WORKERS_NOTE)]
    return int(notes[0]) if notes else 1 if recorded_flags else None


def compression_lines(compression: CompressionOptions, num_workers: int) -> list[str]:
    """The decisive lines of gradient compression; empty for one worker, which sends no gradients."""
    if num_workers == 1 or compression.kind == 'none':
        return []
    return flag_lines([compression], decisive=True)
