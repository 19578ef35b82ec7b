"""`--exec_mode=check`: everything about a run that can be known without training, in about a minute.

The parts are those of a run, on few samples: read the data, check the inputs, predict each stage's model, train it for
three steps, export the last one. The first part that fails ends the check with the error of the run. The page and the
record `check.json` are written to `--run_dir`, where a later run ignores them, or to a temporary folder.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tf_keras as keras
from absl import logging

from pocketflow.learners.abstract_learner import describe
from pocketflow.learners.options import LEARNERS
from pocketflow.learners.program.chains import FULL_PRECISION, starts_from_baseline, trains_from_scratch
from pocketflow.learners.program.checking.data import data_facts
from pocketflow.learners.program.checking.estimates import export_seconds, flag_search_seconds, run_bytes
from pocketflow.learners.program.checking.exports import NUM_SAMPLES, trial_export
from pocketflow.learners.program.checking.plan import export_formats, plan_of, stage_folders
from pocketflow.learners.program.checking.stages import StageForecast, forecast_stage
from pocketflow.learners.program.export_data import num_run
from pocketflow.learners.program.exporting import refuse_failed_exports
from pocketflow.learners.program.invocation import Invocation, check_inputs
from pocketflow.learners.program.pipeline import load_fitting_model, load_in_standard_form
from pocketflow.learners.program.zoo import FIRST_STAGE
from pocketflow.utils.costs.cost_model import total_macs, total_parameters
from pocketflow.utils.errors import PocketFlowError, first_line
from pocketflow.utils.export.watched_process import conversion_process
from pocketflow.utils.graph import Head, StandardForm
from pocketflow.utils.reports import check_page
from pocketflow.utils.reports.layer_table import chained_rows
from pocketflow.utils.runs.given_files import resolve_model_path
from pocketflow.utils.runs.machine import free_disk_bytes, machine_details, versions
from pocketflow.utils.runs.run_directory import CHECK_PAGE, CHECK_RECORD
from pocketflow.utils.system import atomic, interrupts
from pocketflow.utils.system.memory import in_words
from pocketflow.utils.system.paths import path_errors_reported
from pocketflow.utils.system.streams import say
from pocketflow.utils.training.distillation import Distillation
from pocketflow.utils.training.precision import resolve_compute_dtype
from pocketflow.utils.training.trainer import Evaluation

SCHEMA = 1
NUM_IMAGES = 16
"""Training images that calibrate predicted models."""
MAX_TRIAL_SECONDS = 30.0
"""After this time, steps of further stages are not measured, but derived from those before."""
NUM_EVALUATED = 2
"""Batches of the trial evaluation."""


def check(invocation: Invocation) -> None:
    """Checks a run and writes the page; raises the error with which the run would fail."""
    conversion_process().start()  # it loads TensorFlow while the other parts are checked
    checker = Checker(invocation)
    failure = checker.run()
    folder = page_folder(invocation)
    atomic.write_json(folder / CHECK_RECORD, checker.record)
    check_page.write_page(checker.record, folder / CHECK_PAGE)
    say(f'\ncheck: {folder / CHECK_PAGE}\n\n{check_page.summary(checker.record)}')
    if failure is not None:
        raise failure


def page_folder(invocation: Invocation) -> Path:
    """`--run_dir` if it was given, else a new temporary folder."""
    if not invocation.run_dir_is_given:
        return Path(tempfile.mkdtemp(prefix='pocketflow-check-'))
    invocation.run.path.mkdir(parents=True, exist_ok=True)
    return invocation.run.path


class Checker:
    """The parts of a check, in order; each adds its entries to the record.

    Args:
      invocation: the call.

    Attributes:
      record: the content of `check.json`.
    """

    def __init__(self, invocation: Invocation):
        helper = copy.copy(invocation.helper)
        helper.max_training_images = NUM_IMAGES
        # With these options the trainer reports each step, and the first, which is compiled, is not timed.
        trainer = invocation.trainer.replace(summary_step=1, save_step=10**9)
        self._of_run = invocation
        self._invocation = dataclasses.replace(invocation, helper=helper, trainer=trainer)
        self._pipeline = self._invocation.pipeline(log=None)
        self._stages: list[StageForecast] = []
        self._baseline: keras.Model
        self._head: Head | None
        self._image_seconds, self._export_seconds = 0.0, 0.0
        self._file_bytes: list[int] = []
        self.record: dict[str, Any] = {
            'schema': SCHEMA,
            'model': helper.model_name,
            'dataset': helper.dataset_name,
            'learners': list(invocation.learner_names),
            'command': invocation.command,
            'versions': versions(),
            'passes': False,
            'part': None,
            'reason': None,
            'seconds': {},
        }

    def run(self) -> Exception | None:
        """Runs the parts until one fails; returns its error."""
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            'machine': self._machine,
            'data': self._data,
            'inputs': self._inputs,
            'network': self._network,
            'stages': self._forecasts,
            'export': self._export,
            'resources': self._resources,
        }
        for name, part in parts.items():
            logging.info('check: %s', name)
            begin = time.monotonic()
            try:
                with path_errors_reported():
                    self.record.update(part())
            except interrupts.Interrupted:
                raise
            except Exception as error:  # also of the user's own code
                own = isinstance(error, PocketFlowError)
                self.record.update(
                    part=name, reason=str(error) if own else f'{type(error).__name__}: {first_line(error)}'
                )
                return error
            finally:
                self.record['seconds'][name] = round(time.monotonic() - begin, 2)
        self.record['passes'] = True
        return None

    def _machine(self) -> dict[str, Any]:
        return {'machine': machine_details(self._of_run.run.path)}

    def _data(self) -> dict[str, Any]:
        return {'data': data_facts(self._of_run.helper.dataset)}

    def _inputs(self) -> dict[str, Any]:
        if not self._of_run.run.recorded_flags():
            check_inputs(self._of_run)
        return {'plan': plan_of(self._of_run, 'train').to_json()}

    def _network(self) -> dict[str, Any]:
        """The uncompressed model: its cost, its speed, and what each learner would leave alone.

        Learners that are not in the chain have their default options.
        """
        form, is_trained = self._obtained()
        self._baseline, self._head = form.model, form.head
        metrics = self._evaluated()
        if is_trained:
            self._of_run.helper.warn_of_poor(self._baseline, metrics)
            logging.info('on the first evaluation samples: %s', describe(metrics))
        return {
            'baseline': {
                'macs': total_macs(self._baseline),
                'parameters': total_parameters(self._baseline),
                'is_trained': is_trained,
                'metrics': metrics if is_trained else {},
                'image_seconds': self._image_seconds,
                'compute_dtype': resolve_compute_dtype(self._of_run.trainer.compute_dtype, self._baseline),
            },
            'explained': {
                name: self._pipeline.learner(name, name, None).explain_layers(self._baseline)
                for name in LEARNERS
                if name != FULL_PRECISION
            },
        }

    @property
    def _names(self) -> Sequence[str]:
        return self._of_run.learner_names

    def _obtained(self) -> tuple[StandardForm, bool]:
        """The model with which the run begins, and whether it is trained already."""
        shared = self._of_run.shared
        if trains_from_scratch(self._names, shared, self._of_run.distillation):
            return self._pipeline.untrained_form(self._names), False
        if self._pipeline.begins_with_given(self._names):
            return self._pipeline.untrained_form(self._names), True
        found = self._pipeline.find()
        if found is not None:
            return load_in_standard_form(found, self._of_run.helper, self._of_run.reader)[1], True
        return self._pipeline.untrained_form(self._names), False

    def _evaluated(self) -> dict[str, float]:
        """Metrics on the first evaluation samples; also measures the duration per image."""
        helper = self._of_run.helper
        evaluation = Evaluation(self._baseline, helper.calc_loss, helper.build_dataset_eval(), helper.task)
        evaluation(1)  # compiles it
        begin = time.monotonic()
        metrics = evaluation(NUM_EVALUATED)
        num_samples = min(NUM_EVALUATED * helper.dataset.options.batch_size_eval, len(helper.dataset.source('eval')))
        self._image_seconds = (time.monotonic() - begin) / num_samples
        return metrics

    def _forecasts(self) -> dict[str, Any]:
        begin = time.monotonic()
        model, per_mac = self._baseline, None
        teacher = self._teacher()
        for name, folder in stage_folders(self._names, self._pipeline.trains_first(self._names)):
            is_first_training = folder == FIRST_STAGE
            learner = self._pipeline.learner(name, folder, None if is_first_training else teacher)
            logging.info('check: stage %s', folder)
            if self._stages and self._stages[-1].folder != FIRST_STAGE:
                learner.check_model(functools.partial(_same, model))  # a run knows its shapes only then
            late = time.monotonic() - begin > MAX_TRIAL_SECONDS
            stage = forecast_stage(learner, folder, model, self._image_seconds, per_mac if late else None)
            self._stages.append(stage)
            if stage.step_seconds and stage.is_measured:
                per_mac = stage.step_seconds / max(1, total_macs(model))
            model = stage.finished.model
        rows = chained_rows(stage.rows for stage in self._stages)
        return {'stages': [stage.to_json() for stage in self._stages], 'layers': rows}

    def _teacher(self) -> Distillation | None:
        """The teacher of the run, or the uncompressed model in its place."""
        options = self._of_run.distillation
        if not options.enabled:
            return None
        given = options.teacher_path
        model = self._baseline
        if given is not None:
            path = resolve_model_path(given, '--save_path_dst')
            model = load_fitting_model(path, self._of_run.helper, self._of_run.reader)
        distance = self._of_run.helper.task.distillation_loss
        return Distillation(model, options.weight, options.temperature, distance)

    def _export(self) -> dict[str, Any]:
        last = dataclasses.replace(self._stages[-1].finished, head=self._head)
        options = self._of_run.export
        learners = [self._pipeline.learner(stage.name, stage.folder, None) for stage in self._stages]
        reference_format = next((learner.reference_format for learner in learners if learner.reference_format), None)
        is_compared = starts_from_baseline(self._names, self._of_run.shared)
        trial = trial_export(
            self._invocation.helper,
            options,
            self._baseline if is_compared else last.model,
            last,
            export_formats(self._invocation),
            reference_format,
        )
        timed = [*trial.measured['exports'], *([trial.measured['baseline']] if is_compared else [])]
        self._export_seconds = export_seconds(
            trial.seconds,
            NUM_SAMPLES,
            num_run(self._of_run.helper.dataset, options),
            options.num_calibration,
            [item['latency_ms']['p50'] / 1000 for item in timed if item['latency_ms']],
            (1 + is_compared) * self._image_seconds,
            trial.conversion_seconds,
        )
        self._file_bytes = [item['bytes'] for item in trial.measured['exports']]
        self.record.update(trial_export=trial.measured, conversion_seconds=trial.conversion_seconds)
        refuse_failed_exports(trial.measured.get('failed_exports', ()))
        return {}

    def _resources(self) -> dict[str, Any]:
        """Predicted duration and disk space; raises an error if the disk is too small."""
        parameters = [total_parameters(stage.finished.model) for stage in self._stages]
        needed = run_bytes(parameters, total_parameters(self._baseline), self._file_bytes)
        free = free_disk_bytes(self._of_run.run.path)
        if needed > free:
            raise PocketFlowError(
                f'{self._of_run.run.path}: the run would take up to {in_words(needed)} of disk space; '
                f'{in_words(free)} are free: make room there, or give another --run_dir'
            )
        flag_search = self._flag_search_seconds()
        return {
            'flag_search_seconds': flag_search,
            'export_seconds': self._export_seconds,
            'total_seconds': flag_search + self._export_seconds + sum(stage.seconds for stage in self._stages),
            'disk_bytes': needed,
        }

    def _flag_search_seconds(self) -> float:
        """Duration of `--hpo_space`; 0 without it."""
        search, helper = self._of_run.search, self._of_run.helper
        if search.space is None:
            return 0.0
        stages = [stage for stage in self._stages if stage.folder != FIRST_STAGE]
        num_steps = search.num_epochs * helper.dataset.num_trained / helper.dataset.options.batch_size
        num_held_out = len(helper.dataset.split_indices(enbl_trn_val_split=True)[1])
        return flag_search_seconds(
            search.num_trials,
            search.num_verified,
            search.verify_factor,
            [stage.compress_seconds for stage in stages],
            [num_steps * (stage.step_seconds or 0.0) for stage in stages],
            num_held_out * self._image_seconds,
        )


def _same(model: keras.Model) -> keras.Model:
    return model
