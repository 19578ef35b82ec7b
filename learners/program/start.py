"""Starts the work of one worker from a checked command line."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import tensorflow as tf
import tf_keras as keras
from absl import logging

from pocketflow.datasets.sourced_dataset import Shard, SourcedDataset
from pocketflow.datasets.sources.storage import refuse_unreadable_address
from pocketflow.hp_optimizer.options import SearchOptions
from pocketflow.learners.options import LearnerOptions
from pocketflow.learners.program.baseline import BASELINE_FOLDER
from pocketflow.learners.program.checking.plan import print_plan
from pocketflow.learners.program.command import Command
from pocketflow.learners.program.config_record import config_text
from pocketflow.learners.program.identity import (
    free_flags,
    recorded_lines,
    recorded_num_workers,
    run_path,
    training_name,
)
from pocketflow.learners.program.invocation import Invocation
from pocketflow.learners.program.modes import EXEC_MODES
from pocketflow.learners.program.options import MODES_OF_NEW_RUNS, MainOptions, ProcessOptions
from pocketflow.nets.abstract_model_helper import AbstractModelHelper, GivenFile
from pocketflow.rl_agents.ddpg.options import DdpgOptions
from pocketflow.utils.distributed.gradient_compression.options import CompressionOptions
from pocketflow.utils.distributed.multi_gpu_wrapper import ALONE, Workers, connect, raise_on_lost_worker
from pocketflow.utils.distributed.options import MultiGpuOptions
from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.lint.options import LintOptions
from pocketflow.utils.export.options import ExportOptions
from pocketflow.utils.models.trust import trusting
from pocketflow.utils.reports.verdict import VerdictOptions
from pocketflow.utils.runs.given_files import MODEL_NAME, model_file
from pocketflow.utils.runs.model_reader import ModelReader
from pocketflow.utils.runs.run_directory import RunDirectory
from pocketflow.utils.system import paths
from pocketflow.utils.system.streams import say
from pocketflow.utils.training.options import DistillationOptions, TrainerOptions

INDEX_FOLDER = 'records'
"""Folder in the run directory for an index of the data files."""
READ_ERRORS = (tf.errors.InvalidArgumentError, tf.errors.DataLossError, tf.errors.NotFoundError, tf.errors.UnknownError)
"""Raised where a file of the data is damaged or gone."""
PIPELINE = 'IteratorGetNext'
"""TensorFlow's operation, in messages, that waits for a batch."""


def start(command: Command, tell: Callable[[str], None] = say) -> Path:
    """Connects the workers and executes a command; modes other than train run on the primary only.

    Args:
      command: a checked command.
      tell: called with the summary of a run that is finished; default: prints it.

    Returns:
      The run directory, absolute.
    """
    workers = connect(command.options(MultiGpuOptions))  # before TensorFlow is set up
    options = command.options(MainOptions)
    keras.utils.set_random_seed(options.seed)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    with raise_on_lost_worker(), trusting(command.trusts_models):
        return run_worker(command, workers, tell)


def run_worker(command: Command, workers: Workers, tell: Callable[[str], None] = say) -> Path:
    """Executes a command on one worker, and returns its run directory."""
    process = command.options(ProcessOptions)
    mode = process.exec_mode
    if not workers.is_primary:
        logging.set_verbosity(logging.WARNING)
    is_for_all = mode == 'train' and not process.dry_run
    if is_for_all or workers.is_primary:
        with paths.path_errors_reported():
            invocation = make_invocation(command, workers if mode in MODES_OF_NEW_RUNS else ALONE, tell)
        with bad_samples_named(invocation.helper.dataset):
            if process.dry_run:
                print_plan(invocation, mode)
            else:
                EXEC_MODES[mode](invocation if is_for_all else dataclasses.replace(invocation, workers=ALONE))
        return invocation.run.path
    return RunDirectory(run_path(command, workers.size)).path


@contextlib.contextmanager
def bad_samples_named(dataset: SourcedDataset) -> Iterator[None]:
    """Converts errors of the input pipeline within the block into a `UsageError` that names a file."""
    try:
        yield
    except READ_ERRORS as error:
        if PIPELINE not in str(error):
            raise
        logging.warning('an image cannot be read; looking for it')
        line = dataset.first_bad()
        if line is None:
            raise
        raise UsageError(
            f'{line}; repair or remove it, or give --skip_bad_images and drop --noenbl_check_images'
        ) from error


def make_invocation(command: Command, workers: Workers = ALONE, tell: Callable[[str], None] = say) -> Invocation:
    """The inputs of the execution modes, as plain values."""
    run, reader = RunDirectory(run_path(command, workers.size)), ModelReader()
    changed, defaults = command.flags_in_effect()
    helper = make_helper(command, workers, reader)
    return Invocation(
        helper=helper,
        run=run,
        learner_names=tuple(command.learner_names),
        learner_options=command.learner_options(),
        shared=with_pretrained(command, helper),
        trainer=command.options(TrainerOptions),
        distillation=command.options(DistillationOptions),
        export=command.options(ExportOptions),
        verdict=command.options(VerdictOptions),
        lint=command.options(LintOptions),
        seed=command.options(MainOptions).seed,
        recorded_flags=tuple(recorded_lines(command, num_workers=workers.size)),
        free_flags=free_flags(command, run.recorded_flags()),
        zoo_name=training_name(command, recorded_num_workers(run.recorded_flags()) or workers.size),
        command=shlex.join(['python', *command.argv]),
        workers=workers,
        compression=command.options(CompressionOptions),
        search=command.options(SearchOptions),
        ddpg=command.options(DdpgOptions),
        reader=reader,
        run_dir_is_given=command.options(ProcessOptions).run_dir is not None,
        changed_flags=tuple(changed),
        default_flags=tuple(defaults),
        config=config_text(command),
        tell=tell,
    )


def with_pretrained(command: Command, helper: AbstractModelHelper) -> LearnerOptions:
    """The options of all learners; the pretrained network of the pair, if one is asked for, is the given one."""
    shared = command.options(LearnerOptions)
    if command.pretrained is None or command.options(ProcessOptions).exec_mode not in MODES_OF_NEW_RUNS:
        return shared
    return shared.replace(save_path=str(helper.pretrained_file()))


def make_helper(command: Command, workers: Workers, reader: ModelReader) -> AbstractModelHelper:
    """The pair, with this worker's shard of the data."""
    refuse_unreadable_address(command.data_options().data_dir)
    helper_class = command.pair.load()
    _refuse_missing(command, helper_class, sorted(helper_class.__abstractmethods__))
    helper = helper_class.of_options(
        command.options(helper_class.net_options_class),
        command.data_options(),
        command.options(MainOptions).seed,
        given_file(command, workers, reader),
    )
    _refuse_missing(command, helper_class, [] if hasattr(helper, 'num_epochs') else ['num_epochs'])
    helper.dataset.shard = Shard(workers.rank, workers.size)
    helper.dataset.index_folder = RunDirectory(run_path(command, workers.size)) / INDEX_FOLDER
    return helper


def _refuse_missing(command: Command, helper_class: type[AbstractModelHelper], names: Sequence[str]) -> None:
    """Raises a `UsageError` if a pair lacks methods or attributes."""
    if names:
        raise UsageError(
            f'--model_helper={command.pair_options.model_helper}: class {helper_class.__name__} '
            f'does not define {", ".join(names)}; see docs/extending.md'
        )


def given_file(command: Command, workers: Workers, reader: ModelReader) -> GivenFile | None:
    """The network at `--save_path`, or, where it is gone, the copy that the run has kept of it."""
    named = command.options(LearnerOptions).save_path
    if named is None:
        return None
    run, path = RunDirectory(run_path(command, workers.size)), model_file(named)
    baseline = run / BASELINE_FOLDER / MODEL_NAME
    kept = [file for file in (baseline, run / MODEL_NAME) if file.is_file()]
    return GivenFile(
        named,
        path if path.exists() or not kept else kept[0],
        reader,
        baseline if baseline.is_file() else None,
        counts_classes=command.options(LearnerOptions).freeze is not None,
    )
