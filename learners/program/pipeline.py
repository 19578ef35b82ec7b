"""The pipeline: obtains a trained model and applies a chain of learners to it.

`--learner=a,b` chains: the model that `a` returns is what `b` compresses. The uncompressed model is the teacher
throughout.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tf_keras as keras
from absl import logging

from pocketflow.learners.abstract_learner import AbstractLearner, LearnerContext, StageResult, describe
from pocketflow.learners.model_files import Finished, load_own_model
from pocketflow.learners.options import LEARNERS
from pocketflow.learners.program.baseline import KeptBaseline
from pocketflow.learners.program.chains import FULL_PRECISION, trains_from_scratch
from pocketflow.learners.program.zoo import FIRST_STAGE, TRAINING_NAME, hold_out_lines, trained_models, trained_with
from pocketflow.learners.search.flag_search import FOLDER as SEARCH_FOLDER
from pocketflow.learners.search.flag_search import FlagSearch
from pocketflow.learners.search.plan_search import read_record
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.distributed.mirror import mirror
from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph import (
    Head,
    NewHead,
    StandardForm,
    check_round_trip,
    put_head_on,
    refuse_frozen,
    warn_of_frozen,
)
from pocketflow.utils.models.files import save_model
from pocketflow.utils.models.keras_state import keras_state_kept
from pocketflow.utils.models.weights_only import is_weights_only
from pocketflow.utils.options import Options
from pocketflow.utils.runs.given_files import resolve_model_path
from pocketflow.utils.runs.model_reader import ModelReader
from pocketflow.utils.system import atomic
from pocketflow.utils.training.distillation import Distillation
from pocketflow.utils.training.options import DistillationOptions

TEACHER_FOLDER = 'teacher'
"""Folder of a run for a teacher other than the uncompressed model."""

CODED_FORMATS = ('pfz', 'float32')
"""Default export formats of a model with integer codes, without a learner."""


@dataclasses.dataclass(frozen=True)
class PipelineResult:
    """Result of a pipeline: the uncompressed model, its metrics, and the finished stages in order."""

    baseline: keras.Model
    baseline_metrics: dict[str, float]
    stages: tuple[StageResult, ...]
    searches: tuple[Mapping[str, Any], ...] = ()

    @property
    def model(self) -> keras.Model:
        return self.stages[-1].model

    @property
    def metrics(self) -> dict[str, float]:
        return self.stages[-1].metrics

    @property
    def head(self) -> Head | None:
        """The head that was taken off both networks."""
        return self.stages[-1].head

    @property
    def reference_format(self) -> str | None:
        """Export format of the uncompressed model in the comparison, if a stage sets one."""
        return next((stage.reference_format for stage in self.stages if stage.reference_format), None)


class Trained(NamedTuple):
    """A trained model, its metrics, the head that was taken off it, and the new last layer that it was given."""

    model: keras.Model
    metrics: dict[str, float]
    head: Head | None
    new_head: NewHead | None = None


class Pipeline:
    """Runs the learners of a chain, each in its own stage folder of the run directory.

    Args:
      context: environment of all stages; each stage gets its own folder.
      learner_options: by learner name.
      distillation: the distillation options.
      zoo_name: prefix of the directories of finished full-prec runs with the same training flags, relative to
        `--zoo_dir`.
      reader: reads the given models.
    """

    def __init__(
        self,
        context: LearnerContext,
        learner_options: Mapping[str, Options],
        distillation: DistillationOptions,
        zoo_name: str,
        reader: ModelReader | None = None,
    ):
        self.context = context
        self.learner_options = learner_options
        self.distillation = distillation
        self.zoo_name = zoo_name
        self.reader = reader or ModelReader()

    def check_inputs(self, names: Sequence[str]) -> None:
        """Checks the files, layers and models of each learner of the chain."""
        data, batch_size = self.context.helper.dataset, self.context.learner_options.batch_size_finetune
        data.check_batch_size()
        if batch_size is not None:
            data.with_options(batch_size=batch_size).check_batch_size('batch_size_ft')
        for name in names:
            self.learner(name, name, None).check_inputs()
        if self.context.search.space is not None:
            self._flag_search(names, None)
        self._check_models([FULL_PRECISION, *names] if self.trains_first(names) else names)
        # Layers built after the checks get the same names and initial weights as without the checks.
        keras.backend.reset_uids()
        keras.utils.set_random_seed(self.context.seed)

    def _check_models(self, names: Sequence[str]) -> None:
        """Checks the input model of each learner, as far as its architecture is known."""
        make_model, has_known_shapes = functools.cache(functools.partial(self.untrained, names)), True
        learners = [self.learner(name, name, None) for name in names]
        source = self.context.helper.model_source
        if self.begins_with_given(names):  # read from a file
            source = f'--save_path={self.context.learner_options.save_path}'
        else:
            check_round_trip(make_model(), source)
        if any(learner.schedule()[1] for learner in learners):
            refuse_frozen(make_model(), source)
        self.context.helper.check_loss(make_model())
        for learner in learners:
            learner.check_layers(make_model)
            if has_known_shapes:
                learner.check_model(make_model)
            has_known_shapes &= learner.keeps_shapes

    def trains_first(self, names: Sequence[str]) -> bool:
        """Whether a model must be trained before the chain begins."""
        shared = self.context.learner_options
        return not (trains_from_scratch(names, shared, self.distillation) or shared.save_path or self._known_models())

    def untrained(self, names: Sequence[str]) -> keras.Model:
        """The model of `untrained_form`."""
        return self.untrained_form(names).model

    def untrained_form(self, names: Sequence[str]) -> StandardForm:
        """A model of the architecture that the chain begins with: the given one, or an untrained one."""
        given = self.context.learner_options.save_path
        if given is None or not self.begins_with_given(names):
            return self.context.helper.built_form()
        path = resolve_model_path(given, '--save_path')
        form = load_in_standard_form(path, self.context.helper, self.reader, self.new_head_seed)[1]
        if form.new_head is not None:
            self._refuse_untrained_teacher(form.new_head)
        return form

    @property
    def new_head_seed(self) -> int | None:
        """Seed of a new last layer for a given model; None where it must have as many outputs as there are classes."""
        return self.context.seed if self.context.learner_options.warm_start else None

    def _refuse_untrained_teacher(self, new_head: NewHead) -> None:
        if self.distillation.enabled and self.distillation.teacher_path is None:
            raise UsageError(
                f'--enbl_dst: the teacher would be --save_path={self.context.learner_options.save_path}, whose last '
                f'layer ({new_head.layer}) is new, and not trained; give --save_path_dst, or drop the flag'
            )

    def begins_with_given(self, names: Sequence[str]) -> bool:
        """Whether the chain begins with the model at `--save_path`."""
        shared = self.context.learner_options
        return shared.save_path is not None and (names[0] != FULL_PRECISION or shared.warm_start)

    def run(self, names: Sequence[str]) -> PipelineResult:
        """Runs the chain `names`, or the rest of an interrupted one."""
        from_scratch = trains_from_scratch(names, self.context.learner_options, self.distillation)
        baseline: keras.Model | None = None
        metrics: dict[str, float] = {}
        head: Head | None = None
        new_head: NewHead | None = None
        if not from_scratch:
            baseline, metrics, head, new_head = self.trained_model()
        teacher = self._teacher(baseline)
        if self.context.search.space is not None:
            self._search_flags(names, baseline, teacher)
        stages, model = [], baseline
        for index, name in enumerate(names, start=1):
            stages.append(self.learner(name, f'{index}-{name}', teacher).run(model, head))
            model, head = stages[-1].model, stages[-1].head
            if baseline is None or (new_head is not None and index == 1):  # it is trained now
                baseline, metrics = model, stages[-1].metrics
        return PipelineResult(baseline, metrics, tuple(stages), tuple(self.search_records(stages)))

    def _search_flags(self, names: Sequence[str], baseline: keras.Model, teacher: Distillation | None) -> None:
        """Searches over flags and applies the best options found."""
        self.learner_options, shared = self._flag_search(names, teacher).run(baseline)
        self.context = dataclasses.replace(self.context, learner_options=shared)

    def _flag_search(self, names: Sequence[str], teacher: Distillation | None) -> FlagSearch:
        return FlagSearch(dataclasses.replace(self.context, distillation=teacher), names, self.learner_options)

    def search_records(self, stages: Sequence[StageResult]) -> list[Mapping[str, Any]]:
        """The report's entries on all searches of the run."""
        records = [read_record(self.context.run / SEARCH_FOLDER), *(stage.search for stage in stages)]
        return [record for record in records if record is not None]

    def trained_model(self) -> Trained:
        """The model to compress with its metrics: from `--save_path`, the zoo, or trained now.

        The run keeps a copy, so that it continues from the same model if the original changes.
        """
        workers, kept = self.context.workers, KeptBaseline(self.context.run.path)
        obtained = None if workers.share(kept.exists) else self._obtain()
        if obtained is not None and workers.is_primary:
            kept.save(put_head_on(obtained.model, obtained.head), obtained.metrics, obtained.new_head)
        mirror(workers, kept.folder)
        return obtained or self._kept_model(kept)

    def _kept_model(self, kept: KeptBaseline) -> Trained:
        """The model that a run was begun with; it is evaluated if its metrics were not recorded."""
        kept.refuse_damaged()
        recorded, new_head = kept.metrics(), kept.new_head()
        trained = self._load(kept.path, recorded, new_head)
        if recorded is None and self.context.workers.is_primary:
            kept.save_metrics(trained.metrics)
        return trained

    def _obtain(self) -> Trained | None:
        """The model with its metrics; other workers receive it from the primary unless all have trained it."""
        source = self.context.workers.share(lambda: str(self.find() or ''))
        if source and not self.context.workers.is_primary:
            return None
        if source:
            trained = self._load(Path(source))
            StandardForm(trained.model, trained.head, trained.new_head).log(source)
            warn_of_frozen(trained.model, source)
            return trained
        logging.info(
            'no trained model given or found as %s/%s*: training one first',
            self.context.learner_options.zoo_dir,
            self.zoo_name,
        )
        result = self.learner(FULL_PRECISION, FIRST_STAGE, None).run(None)
        if self.context.workers.is_primary:
            atomic.write_text(self.context.run / FIRST_STAGE / TRAINING_NAME, self.zoo_name)
        return Trained(result.model, result.metrics, result.head)

    def find(self) -> Path | None:
        """The file of the model to compress; None if there is none."""
        shared = self.context.learner_options
        if shared.save_path is not None:
            path = resolve_model_path(shared.save_path, '--save_path')
            lines = hold_out_lines(self.context.helper.dataset.options)
            if '--enbl_trn_val_split=true' in lines and not trained_with(path, lines):
                logging.warning(
                    '%s may have been trained on the held-out samples, too: metrics on them would be '
                    'biased; train it with %s',
                    path,
                    ' '.join(lines),
                )
            return path
        known = self._known_models()
        return known[0] if known else None

    def _known_models(self) -> list[Path]:
        """Models in the zoo with which the chain can begin."""
        return trained_models(
            Path(self.context.learner_options.zoo_dir), self.zoo_name, self.context.helper.dataset.fingerprint()
        )

    def given_model(self, path: Path) -> PipelineResult:
        """The model of a file, unchanged, as the result of a single stage."""
        helper = self.context.helper
        finished = load_finished(path, helper, self.reader)
        metrics = helper.evaluate(finished.model)
        formats = CODED_FORMATS if finished.encodings else AbstractLearner.export_formats
        stage = StageResult(
            'given', finished.model, metrics, metrics, (), finished.encodings, formats, head=finished.head
        )
        return PipelineResult(finished.model, metrics, (stage,))

    def _load(self, path: Path, recorded: dict[str, float] | None = None, new_head: NewHead | None = None) -> Trained:
        """The model of a file, with its recorded metrics, or evaluated now.

        Args:
          path: of the file.
          recorded: the metrics, if they are known.
          new_head: the new last layer that the model has in the file, if any.
        """
        helper = self.context.helper
        finished, form = load_in_standard_form(path, helper, self.reader, self.new_head_seed)
        model, new_head = finished.model, form.new_head or new_head
        metrics = recorded or helper.evaluate(model)
        if new_head is None:
            logging.info('trained model %s: %s', path, describe(metrics))
            helper.warn_of_poor(model, metrics)
        return Trained(model, metrics, finished.head, new_head)

    def _teacher(self, baseline: keras.Model | None) -> Distillation | None:
        if not self.distillation.enabled:
            return None
        given = self.distillation.teacher_path
        teacher = baseline if given is None else self._given_teacher(given)
        options = self.distillation
        return Distillation(teacher, options.weight, options.temperature, self.context.helper.task.distillation_loss)

    def _given_teacher(self, given: str) -> keras.Model:
        """The model at `--save_path_dst`; the run keeps a copy of it."""
        workers, kept = self.context.workers, self.context.run / TEACHER_FOLDER / 'model.keras'
        teacher = None
        if workers.is_primary and not kept.exists():
            path = resolve_model_path(given, '--save_path_dst')
            teacher = load_fitting_model(path, self.context.helper, self.reader)
            save_model(teacher, kept)
        mirror(workers, kept.parent)
        if teacher is not None:
            return teacher
        with keras_state_kept():
            return load_own_model(kept, f'delete {kept.parent} to read --save_path_dst again')

    def learner(self, name: str, folder: str, teacher: Distillation | None) -> AbstractLearner:
        context = dataclasses.replace(self.context, folder=self.context.run / folder, distillation=teacher)
        learner_class = LEARNERS.get(name)
        return learner_class(context, self.learner_options.get(name, learner_class.options_class()))


def load_fitting_model(path: Path, helper: AbstractModelHelper, reader: ModelReader | None = None) -> keras.Model:
    """Reads a saved model in standard form; raises a `UsageError` if it does not fit the pair."""
    return load_finished(path, helper, reader or ModelReader()).model


def load_finished(path: Path, helper: AbstractModelHelper, reader: ModelReader) -> Finished:
    """Like `load_fitting_model`, with the codes of the kernels if the file is a container."""
    finished, form = load_in_standard_form(path, helper, reader)
    form.log(str(path))
    return finished


def load_in_standard_form(
    path: Path, helper: AbstractModelHelper, reader: ModelReader, new_head_seed: int | None = None
) -> tuple[Finished, StandardForm]:
    """Like `load_finished`, and the standard form with the changes made to the model, which are not logged.

    With `new_head_seed`, a model for another number of classes is given a new last layer.
    """

    def standard() -> tuple[Finished, StandardForm]:
        if is_weights_only(path):
            finished = Finished(helper.model_with_weights(path))
        else:
            unpacked = reader.read(path)
            finished = Finished(unpacked.model, unpacked.encodings)
        form = helper.standard_form(finished.model, str(path), 'is it a model of another pair?', new_head_seed)
        return dataclasses.replace(finished, model=form.model, head=form.head), form

    return reader.once(path, f'standard form {new_head_seed}', standard)
