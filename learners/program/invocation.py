"""One call of the program as plain values, and the checks of its inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from pocketflow.hp_optimizer.options import SearchOptions
from pocketflow.learners.abstract_learner import LearnerContext
from pocketflow.learners.options import LEARNERS, LearnerOptions
from pocketflow.learners.program.export_data import check_export
from pocketflow.learners.program.input_files import named_files
from pocketflow.learners.program.pipeline import Pipeline, load_in_standard_form
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.rl_agents.ddpg.options import DdpgOptions
from pocketflow.utils.distributed.gradient_compression.options import CompressionOptions
from pocketflow.utils.distributed.multi_gpu_wrapper import ALONE, Workers
from pocketflow.utils.export.lint.options import LintOptions
from pocketflow.utils.export.options import ExportOptions
from pocketflow.utils.options import Options
from pocketflow.utils.reports.verdict import VerdictOptions, refuse_other_metric
from pocketflow.utils.runs.given_files import resolve_model_path
from pocketflow.utils.runs.metrics_log import MetricsLog
from pocketflow.utils.runs.model_reader import ModelReader
from pocketflow.utils.runs.run_directory import RunDirectory
from pocketflow.utils.system.streams import say
from pocketflow.utils.training.options import DistillationOptions, TrainerOptions


@dataclasses.dataclass(frozen=True)
class Invocation:
    """One call of the program, as plain values.

    Attributes:
      run_dir_is_given: whether the user named the run directory.
      changed_flags, default_flags: flags that affect results, with other values than the defaults and with these.
      reader: reads the models that flags name, each once.
      config: the content of the file that repeats a new run.
      tell: called with the summary of the report.
    """

    helper: AbstractModelHelper
    run: RunDirectory
    learner_names: tuple[str, ...]
    learner_options: Mapping[str, Options]
    shared: LearnerOptions
    trainer: TrainerOptions
    distillation: DistillationOptions
    export: ExportOptions
    verdict: VerdictOptions
    lint: LintOptions
    seed: int
    recorded_flags: tuple[str, ...]
    free_flags: tuple[str, ...]
    zoo_name: str
    command: str
    workers: Workers = ALONE
    compression: CompressionOptions = CompressionOptions()
    search: SearchOptions = SearchOptions()
    ddpg: DdpgOptions = DdpgOptions()
    reader: ModelReader = dataclasses.field(default_factory=ModelReader)
    run_dir_is_given: bool = False
    changed_flags: tuple[str, ...] = ()
    default_flags: tuple[str, ...] = ()
    config: str = ''
    tell: Callable[[str], None] = say

    def pipeline(self, log: MetricsLog | None) -> Pipeline:
        context = LearnerContext(
            self.helper,
            self.run,
            self.run.path,
            self.shared,
            self.trainer,
            log,
            seed=self.seed,
            workers=self.workers,
            compression=self.compression,
            search=self.search,
            ddpg=self.ddpg,
        )
        return Pipeline(context, self.learner_options, self.distillation, self.zoo_name, self.reader)

    def named_files(self) -> dict[str, Path]:
        """The input files of a new run by flag."""
        return named_files(self.shared, self.distillation, self.learner_options)


def check_inputs(invocation: Invocation) -> None:
    """Rejects missing or unsuitable data and models, before anything is written."""
    refuse_other_metric(invocation.verdict, invocation.helper.task.primary)
    for split in ('train', 'eval'):
        invocation.helper.dataset.source(split)
    default = LEARNERS.get(invocation.learner_names[-1]).export_formats
    check_export(invocation.helper.dataset, invocation.export, invocation.export.names or default[:1])
    pipeline = invocation.pipeline(log=None)
    for flag, path, new_head_seed in (
        ('--save_path', invocation.shared.save_path, pipeline.new_head_seed),
        ('--save_path_dst', invocation.distillation.teacher_path, None),
    ):
        if path is not None:
            load_in_standard_form(resolve_model_path(path, flag), invocation.helper, invocation.reader, new_head_seed)
    pipeline.check_inputs(invocation.learner_names)
