"""`--dry_run`: the plan of a run: its stages, their steps, the files read and written, and the flags that matter."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from pocketflow.learners.abstract_learner import AbstractLearner
from pocketflow.learners.program.baseline import BASELINE_FOLDER, METRICS_FILE
from pocketflow.learners.program.chains import FULL_PRECISION, starts_from_baseline
from pocketflow.learners.program.config_record import CONFIG_FILE
from pocketflow.learners.program.invocation import Invocation
from pocketflow.learners.program.options import MODES_OF_NEW_RUNS
from pocketflow.learners.program.pipeline import Pipeline
from pocketflow.learners.program.zoo import FIRST_STAGE
from pocketflow.learners.search.flag_search import FOLDER as SEARCH_FOLDER
from pocketflow.learners.search.options import SearchedOptions
from pocketflow.utils.export.formats import file_name
from pocketflow.utils.runs.given_files import MODEL_NAME
from pocketflow.utils.runs.run_directory import CHECK_PAGE, CHECK_RECORD, FLAGS_FILE, REPORT
from pocketflow.utils.system.streams import say

WIDTH = 110
"""Columns of the printed plan."""


@dataclasses.dataclass(frozen=True)
class PlannedStage:
    """One stage of a run.

    Attributes:
      name: of the learner.
      folder: in the run directory.
      num_steps: training steps.
      batch_size: samples per step of all workers.
      epochs: passes over the training samples.
      search: description of the search before it; '' if there is none.
    """

    name: str
    folder: str
    num_steps: int
    batch_size: int
    epochs: float
    search: str = ''


@dataclasses.dataclass(frozen=True)
class RunPlan:
    """Plan of one call of the program.

    Attributes:
      title: mode, pair and learners.
      directory: the run directory.
      state: what is in it: 'new', or which run.
      stages: the stages in order.
      reads: what is read -> where it is.
      writes: files and folders that are written, relative to `directory`.
      changed_flags, default_flags: as in `Invocation`.
    """

    title: str
    directory: str
    state: str
    stages: tuple[PlannedStage, ...]
    reads: dict[str, str]
    writes: tuple[str, ...]
    changed_flags: tuple[str, ...]
    default_flags: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def print_plan(invocation: Invocation, mode: str) -> None:
    """Prints the plan of a call in this execution mode."""
    dataset = invocation.helper.dataset
    dataset.options = dataset.options.without_decoding()
    say(format_plan(plan_of(invocation, mode)))


def plan_of(invocation: Invocation, mode: str) -> RunPlan:
    """The plan of a call; data are read as far as their number decides on the steps."""
    run, helper = invocation.run, invocation.helper
    is_new_run = mode in MODES_OF_NEW_RUNS
    pipeline = invocation.pipeline(log=None)
    return RunPlan(
        f'{mode}: {helper.model_name} at {helper.dataset_name}, {", then ".join(invocation.learner_names)}',
        str(run.path),
        _state(invocation),
        tuple(planned_stages(invocation, pipeline)) if is_new_run else (),
        {**_data_files(invocation), **(_inputs(invocation, pipeline) if is_new_run else _finished_files(invocation))},
        tuple(_writes(invocation, mode, pipeline)),
        invocation.changed_flags,
        invocation.default_flags,
    )


def stage_folders(names: Sequence[str], trains_first: bool) -> list[tuple[str, str]]:
    """(learner, folder) of each stage, with that of the uncompressed model if it has to be trained first.

    >>> stage_folders(('uniform',), True)
    [('full-prec', '0-full-prec'), ('uniform', '1-uniform')]
    """
    first = [(FULL_PRECISION, FIRST_STAGE)] if trains_first else []
    return [*first, *((name, f'{number}-{name}') for number, name in enumerate(names, start=1))]


def planned_stages(invocation: Invocation, pipeline: Pipeline) -> Iterator[PlannedStage]:
    """The stages of a new run, with their numbers of steps."""
    for name, folder in stage_folders(invocation.learner_names, pipeline.trains_first(invocation.learner_names)):
        learner = pipeline.learner(name, folder, None)
        dataset = learner.training_helper().dataset
        num_steps, batch_size = learner.schedule()[1], dataset.options.batch_size * dataset.shard.size
        epochs = num_steps * batch_size / dataset.num_trained
        yield PlannedStage(name, folder, num_steps, batch_size, epochs, _search(learner))


def _search(learner: AbstractLearner) -> str:
    options = learner.options
    if not isinstance(options, SearchedOptions) or not options.searches:
        return ''
    how = options.layer_search()
    return f'{how.num_rollouts} trials of {how.num_steps} steps by {learner.context.search.optimizer}'


def _state(invocation: Invocation) -> str:
    run = invocation.run
    if not run.recorded_flags():
        return 'new'
    return 'holds a finished run' if (run / REPORT).is_file() else 'holds an unfinished run, which is continued'


def _data_files(invocation: Invocation) -> dict[str, str]:
    where = invocation.helper.dataset.options.data_dir
    return {'data': where} if where else {}


def _inputs(invocation: Invocation, pipeline: Pipeline) -> dict[str, str]:
    files = {line: str(path) for line, path in invocation.named_files().items()}
    space = invocation.search.space
    found = None if invocation.shared.save_path or not _needs_model(invocation) else pipeline.find()
    return {
        **files,
        **({f'--hpo_space={space}': space} if space else {}),
        **({'trained model found': str(found)} if found else {}),
    }


def _needs_model(invocation: Invocation) -> bool:
    return starts_from_baseline(invocation.learner_names, invocation.shared) or invocation.distillation.enabled


def _finished_files(invocation: Invocation) -> dict[str, str]:
    given = invocation.shared.save_path
    known = [name for name in (FLAGS_FILE, MODEL_NAME, REPORT) if (invocation.run / name).is_file()]
    return {
        **({f'--save_path={given}': given} if given is not None else {}),
        **{name: str(invocation.run / name) for name in known},
    }


def _writes(invocation: Invocation, mode: str, pipeline: Pipeline) -> Iterator[str]:
    if mode == 'check':
        yield from (CHECK_RECORD, CHECK_PAGE)
    if mode not in ('train', 'export'):
        return
    yield from (FLAGS_FILE, 'data.txt', 'log.txt')
    if mode == 'train':
        yield from (CONFIG_FILE, 'metrics.jsonl', 'events/')
        names = invocation.learner_names
        if _needs_model(invocation):
            yield from (f'{BASELINE_FOLDER}/{MODEL_NAME}', f'{BASELINE_FOLDER}/{METRICS_FILE}')
        if invocation.search.space is not None:
            yield f'{SEARCH_FOLDER}/'
        for name, folder in stage_folders(names, pipeline.trains_first(names)):
            options = pipeline.learner(name, folder, None).options
            searched = ', search.jsonl' if isinstance(options, SearchedOptions) and options.searches else ''
            yield f'{folder}/ (compressed.keras, checkpoints, model.keras, result.json{searched})'
    yield MODEL_NAME
    yield from (file_name(name) for name in export_formats(invocation))
    yield from (REPORT, 'report.html')


def export_formats(invocation: Invocation) -> tuple[str, ...]:
    """The formats of a new run: those of the flags, or the default ones of the last learner."""
    if invocation.export.names:
        return invocation.export.names
    name = invocation.learner_names[-1]
    return tuple(invocation.pipeline(log=None).learner(name, name, None).export_formats)


def format_plan(plan: RunPlan) -> str:
    """The plan as text."""
    lines = [plan.title, f'run directory: {plan.directory} ({plan.state})']
    if plan.stages:
        lines += ['', 'stages:']
        for stage in plan.stages:
            if stage.search:
                lines.append(f'  {stage.folder}: search, {stage.search}')
            steps = f'{stage.num_steps:,} steps of {stage.batch_size} samples ({stage.epochs:.3g} epochs)'
            lines.append(f'  {stage.folder}: {steps if stage.num_steps else "no training"}')
        lines.append('  export: every format is measured against the uncompressed model')
    for title, entries in (
        ('reads', [f'{what}: {path}' for what, path in plan.reads.items()]),
        ('writes', list(plan.writes)),
        ('flags, not at their defaults', list(plan.changed_flags)),
    ):
        lines += ['', f'{title}:', *(f'  {entry}' for entry in entries or ['none'])]
    defaults = textwrap.wrap(' '.join(plan.default_flags), WIDTH, break_long_words=False, break_on_hyphens=False)
    return '\n'.join([*lines, '', 'flags at their defaults:', *(f'  {line}' for line in defaults or ['none'])])
