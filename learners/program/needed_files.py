"""Rejects missing files and folders before TensorFlow is loaded.

Their content is checked when they are read. With several workers, whose disks may differ, existence is checked then,
too.
"""

from __future__ import annotations

from pocketflow.datasets.image_options import NO_LABELS
from pocketflow.hp_optimizer.options import SearchOptions
from pocketflow.learners.options import LearnerOptions
from pocketflow.learners.program.command import Command
from pocketflow.learners.program.identity import free_flags, recorded_lines, run_path
from pocketflow.learners.program.input_files import named_values
from pocketflow.learners.program.options import EXPORTS_GIVEN_MODEL, MODES_OF_NEW_RUNS, RUNS_CODE, ProcessOptions
from pocketflow.learners.search.searchable import searchable_types
from pocketflow.utils.distributed.options import MultiGpuOptions
from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.device_latency import read_device_latencies
from pocketflow.utils.export.format_names import UNCOMPRESSED, formats
from pocketflow.utils.export.options import ExportOptions
from pocketflow.utils.runs.given_files import MODEL_NAME, refuse_unreadable, resolve_model_path, resolve_plan_path
from pocketflow.utils.runs.run_directory import REPORT, RunDirectory
from pocketflow.utils.training.options import DistillationOptions


def refuse_missing_files(command: Command) -> None:
    """Raises a `UsageError` if a needed file is missing, or the run directory is used by another process."""
    if command.options(MultiGpuOptions).enabled:
        return
    mode, run = command.options(ProcessOptions).exec_mode, RunDirectory(run_path(command))
    if RUNS_CODE in run.recorded_flags() and not command.trusts_models:
        raise UsageError(
            f'--run_dir={run.path}: its models hold code, which was run by --trust_model; give that flag again if you '
            'trust who made them'
        )
    if mode in MODES_OF_NEW_RUNS:
        run.refuse_other_use(recorded_lines(command), free_flags(command, run.recorded_flags()))
        if not run.recorded_flags():  # an existing run has copies of its inputs
            refuse_missing_inputs(command)
    else:
        refuse_missing_latencies(command.options(ExportOptions).device_latency)
        refuse_missing_model(command, mode, run)
    command.data_options().refuse_missing()


def refuse_missing_inputs(command: Command) -> None:
    """Checks the inputs of a new run: models, plans, the search space, enough samples for a step."""
    shared = command.options(LearnerOptions)
    for learner, flag, value, kind in named_values(
        shared, command.options(DistillationOptions), command.learner_options()
    ):
        if kind == 'file':
            refuse_unreadable(value, flag)
        elif kind == 'model':
            resolve_model_path(value, f'--{flag}')
        else:
            resolve_plan_path(value, learner, flag)
    space, data = command.options(SearchOptions).space, command.data_options()
    if space is not None:
        from pocketflow.hp_optimizer.space_file import read_space  # loads NumPy

        read_space(space, searchable_types((*command.learner_options().values(), shared)))
    data.check_batch_size(data.batch_size)
    if shared.batch_size_finetune is not None:
        data.check_batch_size(shared.batch_size_finetune, 'batch_size_ft')


def refuse_missing_model(command: Command, mode: str, run: RunDirectory) -> None:
    """Checks the model of a mode other than train: that of a finished run, or the one at `--save_path`."""
    given, recorded = command.options(LearnerOptions).save_path, run.recorded_flags()
    if mode == 'eval' and not recorded and not command.data_options().has_labels:
        raise UsageError(
            f'--labels={NO_LABELS}: --exec_mode=eval would compare the network with itself; give '
            '--run_dir=DIRECTORY of a finished run, or try --exec_mode=check'
        )
    if mode != 'benchmark' and given is not None and f'--save_path={given}' not in recorded:
        resolve_model_path(given, '--save_path')
    elif EXPORTS_GIVEN_MODEL not in recorded and not any((run / name).is_file() for name in (MODEL_NAME, REPORT)):
        raise UsageError(f'no finished model at {run / MODEL_NAME}; give --run_dir=DIRECTORY of a finished run')


def refuse_missing_latencies(spec: str | None) -> None:
    """Checks the files with latencies that were measured on a device."""
    if spec is not None:
        read_device_latencies(spec, [*formats, UNCOMPRESSED])
