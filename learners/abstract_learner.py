"""The template that every compression algorithm fills in, and what it is handed."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tf_keras as keras
from absl import logging

from pocketflow.hp_optimizer.options import SearchOptions
from pocketflow.learners.options import LearnerOptions
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.rl_agents.ddpg.options import DdpgOptions
from pocketflow.utils.compression_plan import CompressionPlan
from pocketflow.utils.container import load_container, save_container
from pocketflow.utils.distributed.gradient_compression.options import CompressionOptions
from pocketflow.utils.distributed.mirror import CHECKPOINTS, mirror
from pocketflow.utils.distributed.multi_gpu_wrapper import ALONE, Workers
from pocketflow.utils.models.files import load_model, save_model
from pocketflow.utils.options import Options
from pocketflow.utils.quantization.encoding import Encoding
from pocketflow.utils.reports.layer_table import ROW_SHAPE
from pocketflow.utils.runs.given_files import MODEL_NAME
from pocketflow.utils.runs.metrics_log import MetricsLog
from pocketflow.utils.runs.model_files import refuse_damaged
from pocketflow.utils.runs.records import Record, read_record, required_record
from pocketflow.utils.runs.run_directory import RunDirectory
from pocketflow.utils.system import atomic
from pocketflow.utils.system.progress import number
from pocketflow.utils.training.distillation import Distillation
from pocketflow.utils.training.options import TrainerOptions
from pocketflow.utils.training.trainer import (
    DistributedContext,
    LossFn,
    Trainer,
    TrainerParts,
    evaluate,
    refuse_divergence,
)

PLAN_NAME = 'plan.json'
COMPRESSED, RESULT = 'compressed.json', 'result.json'
"""Say that a stage has compressed its model, and that it is finished; each is written last."""
METRICS_SHAPE = {'loss': float, ...: float}
COMPRESSED_SHAPE = {'metrics_compressed': METRICS_SHAPE, 'layers': [ROW_SHAPE]}
CONTAINER_SUFFIX = '.pfz'
CONTAINER_NAME = f'model{CONTAINER_SUFFIX}'
"""Where a stage keeps its model with the codes of its kernels."""


@dataclasses.dataclass(frozen=True)
class LearnerContext:
    """Everything around a learner that is not its own algorithm.

    Attributes:
      helper: the model/dataset pair.
      run: the run directory.
      folder: this stage's own folder in it.
      learner_options, trainer_options: the shared options.
      distillation: the teacher, if distillation is on.
      log: where metrics go.
      seed: `--seed`.
      workers: who trains together; the primary compresses, finishes and writes, the others get what it has written.
      compression: how their gradients travel.
      num_epochs: of the training after `compress`, in place of what the options say; for trials.
      search, ddpg: how values per layer are searched, where a learner does.
    """

    helper: AbstractModelHelper
    run: RunDirectory
    folder: Path
    learner_options: LearnerOptions
    trainer_options: TrainerOptions
    log: MetricsLog | None
    distillation: Distillation | None = None
    seed: int = 0
    workers: Workers = ALONE
    compression: CompressionOptions = CompressionOptions()
    num_epochs: float | None = None
    search: SearchOptions = SearchOptions()
    ddpg: DdpgOptions = DdpgOptions()

    def distributed(self, batch_size: int) -> DistributedContext:
        """Who trains together, for the trainer; `batch_size` is that of each worker."""
        return DistributedContext(self.workers, self.compression, batch_size * self.workers.size, self.seed)


@dataclasses.dataclass(frozen=True)
class Compressed:
    """What `compress` returns.

    Attributes:
      model: the compressed model, not yet fine-tuned.
      plan: the decision it was built from, if there was one to make.
      layers: one JSON-able row per layer for the report.
    """

    model: keras.Model
    plan: CompressionPlan | None = None
    layers: tuple[Record, ...] = ()


@dataclasses.dataclass(frozen=True)
class Finished:
    """What `finish` returns: the model as the next stage and the export take it.

    Attributes:
      model: a functional model; for most learners of plain layers.
      encodings: integer codes by layer name, whose decoded values are the kernels of these layers in `model`.
    """

    model: keras.Model
    encodings: Mapping[str, Encoding] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class StageResult:
    """A finished stage.

    Attributes:
      name: the learner's.
      model: what the next stage compresses.
      metrics_compressed, metrics: on the evaluation set, before and after fine-tuning.
      layers: one row per layer for the report.
      encodings: the integer codes of the model's kernels, if it has some.
      export_formats, reference_format: how the learner wants its model to be exported and compared.
      search: the record of the search for its values, if there was one.
    """

    name: str
    model: keras.Model
    metrics_compressed: dict[str, float]
    metrics: dict[str, float]
    layers: tuple[Record, ...] = ()
    encodings: Mapping[str, Encoding] = dataclasses.field(default_factory=dict)
    export_formats: tuple[str, ...] = ()
    reference_format: str | None = None
    search: Mapping[str, Any] | None = None


class AbstractLearner(abc.ABC):
    """Compress, fine-tune, save, evaluate; each part is kept, so that the same command continues where it stopped.

    Subclasses set `options_class` and fill in `compress`; `@LEARNERS.register` sets `name`. Those that train something
    else than what they hand on, as layers that simulate quantization, also fill in `finish`.
    """

    name: str
    options_class: type[Options] = Options
    timing = ('select', 'finetune')
    """Names under which the seconds of the two parts are reported."""
    export_formats: tuple[str, ...] = ('float32', 'float16', 'dynamic', 'int8')
    """What is exported unless `--export_formats` says otherwise; the verdict is on the first."""
    reference_format: str | None = None
    """In which format the uncompressed model is compared with it; `None`: in the same."""
    keeps_shapes = False
    """Whether the model that it hands on has the layers, of the shapes, of the one that it gets."""

    def __init__(self, context: LearnerContext, options: Options):
        self.context, self.options = context, options
        self.helper = context.helper

    def check_inputs(self) -> None:  # noqa: B027 (most learners read no files)
        """Refuses files that the options name and that are missing or broken, before anything is trained."""

    def check_layers(self, make_model: Callable[[], keras.Model]) -> None:  # noqa: B027 (most name no layers)
        """Refuses options that leave no layer to compress, or name layers that are none, before anything is trained.

        Args:
          make_model: gives a model with the layers of the one that `compress` will get, which may be smaller by then.
            It is untrained, built at the first call, and the same at the next; learners that need none do not call it.
        """

    def check_model(self, make_model: Callable[[], keras.Model]) -> None:  # noqa: B027 (most work on any model)
        """Refuses options that cannot work on a model of this architecture, before anything is trained.

        Not called where learners that come before change it in ways that are not known yet.

        Args:
          make_model: as for `check_layers`, but of exactly the shapes of the model that `compress` will get.
        """

    def search_values(self, model: keras.Model | None) -> Mapping[str, Any] | None:
        """Searches, on all workers together, for the values per layer that `compress` gets.

        Args:
          model: as for `compress`.

        Returns:
          Layer -> value; None where the options fix the values, which is all that this template does.
        """
        return None

    @abc.abstractmethod
    def compress(self, model: keras.Model | None, found: Mapping[str, Any] | None = None) -> Compressed:
        """Turns the model of the stage before into the compressed one.

        Args:
          model: a trained model, which is left as it is; None for a learner that begins a chain.
          found: what `search_values` returned.
        """

    def finish(self, model: keras.Model, plan: CompressionPlan | None) -> Finished:
        """Turns the trained model into what is saved, evaluated and handed on; `plan` is that of `compress`."""
        return Finished(model)

    def schedule(self) -> tuple[keras.optimizers.schedules.LearningRateSchedule, int]:
        """(learning-rate schedule, number of steps) of the training that follows `compress`."""
        epochs_ratio, rate_factor = self.training_length()
        if self.context.num_epochs is not None:
            epochs_ratio = self.context.num_epochs / self.helper.num_epochs
        return self.training_helper().setup_lrn_rate(epochs_ratio, rate_factor)

    def training_length(self) -> tuple[float | None, float]:
        """(share of the pair's own number of epochs, factor on its learning rate), as for `setup_lrn_rate`."""
        options = self.context.learner_options
        return options.epochs_ratio_finetune, options.rate_factor_finetune

    def training_helper(self) -> AbstractModelHelper:
        """The pair as the training that follows `compress` sees it: with what the flags of fine-tuning say."""
        options = self.context.learner_options
        data = {'batch_size': options.batch_size_finetune, 'crop_padding': options.crop_padding_finetune}
        return self.helper.for_finetuning(
            options.decay_factor_finetune, **{name: value for name, value in data.items() if value is not None}
        )

    def loss_fn(self) -> LossFn:
        """The loss of the training that follows `compress`."""
        return self.training_helper().calc_loss

    def trainer_parts(self, model: keras.Model, plan: CompressionPlan | None) -> TrainerParts:
        """Additions to plain training, such as constraints that keep what the plan of `compress` says."""
        return TrainerParts(distillation=self.context.distillation)

    def run(self, model: keras.Model | None) -> StageResult:
        """The whole stage, or what a former call has left to do of it."""
        workers, folder, finished = self.context.workers, self.context.folder, None
        if workers.share((folder / RESULT).exists):
            logging.info('%s: already finished in %s', self.name, folder)
        else:
            compressed = self._compressed(model)
            self._train(compressed)
            finished = self._finish(compressed) if workers.is_primary else None
        mirror(workers, folder)
        return self._result(finished or self._load(), self._read_result())

    def try_out(self, model: keras.Model) -> keras.Model:
        """What the stage would hand on, quietly: nothing is kept, and nothing is evaluated."""
        compressed = self.compress(model)
        self._fit(compressed, label=None)
        return self.finish(compressed.model, compressed.plan).model

    def _compressed(self, model: keras.Model | None) -> Compressed:
        """What the primary has compressed, on all workers."""
        workers, folder, found = self.context.workers, self.context.folder, None
        if not workers.share((folder / COMPRESSED).exists):
            found = self.search_values(model)
        compressed = self._compress_once(model, found) if workers.is_primary else None
        mirror(workers, folder)
        return compressed or self._load_compressed()

    def _load_compressed(self) -> Compressed:
        """What `_compress_once` has written, as far as the training needs it."""
        folder = self.context.folder
        model = load_own_model(folder / 'compressed.keras', self._how_to_compress_again)
        return Compressed(model, CompressionPlan.load(folder / PLAN_NAME) if (folder / PLAN_NAME).exists() else None)

    def _finish(self, trained: Compressed) -> Finished:
        """Saves and evaluates what training has left; the file that marks a finished stage is written last."""
        finished = self.finish(trained.model, trained.plan)
        compressed = required_record(self.context.folder / COMPRESSED, COMPRESSED_SHAPE, self._how_to_compress_again)
        record = {**compressed, 'metrics': self.evaluate(finished.model)}
        refuse_divergence(record['metrics_compressed']['loss'], record['metrics']['loss'], self.name)
        self._save(finished)
        atomic.write_json(self.context.folder / RESULT, record)
        logging.info('%s: %s', self.name, describe(record['metrics']))
        return finished

    def _save(self, finished: Finished) -> None:
        save_model(finished.model, self.context.folder / 'model.keras')
        if finished.encodings:
            save_container(finished.model, finished.encodings, self.context.folder / CONTAINER_NAME)

    def _load(self) -> Finished:
        """What `_save` has written: the codes are only in the container."""
        container, model = (self.context.folder / name for name in (CONTAINER_NAME, MODEL_NAME))
        if container.exists():
            return load_any(container)
        return Finished(load_own_model(model, f'delete {self.context.folder / RESULT} to finish the stage again'))

    def _read_result(self) -> dict[str, Any]:
        return required_record(
            self.context.folder / RESULT,
            {**COMPRESSED_SHAPE, 'metrics': METRICS_SHAPE},
            'delete it, and the same command finishes the stage again',
        )

    def _read_compressed(self) -> dict[str, Any] | None:
        return read_record(self.context.folder / COMPRESSED, COMPRESSED_SHAPE, self._how_to_compress_again)

    @property
    def _how_to_compress_again(self) -> str:
        return f'delete {self.context.folder / COMPRESSED} and the folder {CHECKPOINTS} beside it to compress again'

    def _result(self, finished: Finished, record: Record) -> StageResult:
        return StageResult(
            self.name,
            finished.model,
            record['metrics_compressed'],
            record['metrics'],
            tuple(record['layers']),
            finished.encodings,
            tuple(self.export_formats),
            self.reference_format,
            self.search_record(),
        )

    def search_record(self) -> Mapping[str, Any] | None:
        """The report's entry on the search for the learner's values, if there was one."""
        return None

    def evaluate(self, model: keras.Model) -> dict[str, float]:
        return evaluate(model, self.helper.calc_loss, self.helper.build_dataset_eval())

    def _compress_once(self, model: keras.Model | None, found: Mapping[str, Any] | None) -> Compressed:
        """Calls `compress`, or loads what it returned in a former call."""
        folder = self.context.folder
        if self._read_compressed() is not None:
            return self._load_compressed()
        with self.context.run.timed(self.timing[0]):
            # Learners that search for nothing need not take what was found.
            compressed = self.compress(model) if found is None else self.compress(model, found)
        metrics = self.evaluate(compressed.model)
        record = {'metrics_compressed': metrics, 'layers': list(compressed.layers)}
        save_model(compressed.model, folder / 'compressed.keras')
        if compressed.plan is not None:
            compressed.plan.save(folder / PLAN_NAME)
            logging.info('%s: before fine-tuning: %s', self.name, describe(metrics))
        atomic.write_json(folder / COMPRESSED, record)
        return compressed

    def _train(self, compressed: Compressed) -> None:
        folder = self.context.folder
        with self.context.run.timed(self.timing[1]):
            self._fit(compressed, folder=folder / CHECKPOINTS, log=self.context.log, label=folder.name)

    def _fit(self, compressed: Compressed, **trainer_arguments: Any) -> None:
        (schedule, num_steps), helper = self.schedule(), self.training_helper()
        optimizer = keras.optimizers.SGD(schedule, momentum=helper.net.momentum, jit_compile=False)
        trainer = Trainer(
            compressed.model,
            self.loss_fn(),
            optimizer,
            self.context.trainer_options,
            parts=self.trainer_parts(compressed.model, compressed.plan),
            distributed=self.context.distributed(helper.dataset.options.batch_size),
            **trainer_arguments,
        )
        trainer.fit(lambda step: helper.build_dataset_train(first_step=step), num_steps)


def describe(metrics: dict[str, float]) -> str:
    """`loss 0.41 accuracy 0.913`."""
    return ' '.join(f'{name} {number(value)}' for name, value in metrics.items())


def load_any(path: Path | str) -> Finished:
    """Reads a saved model: a `.keras` file, or a container with the codes of its kernels.

    Raises:
      UsageError: the file holds no model.
    """
    if Path(path).suffix == CONTAINER_SUFFIX:
        unpacked = load_container(path)
        return Finished(unpacked.model, unpacked.encodings)
    return Finished(load_model(path))


def load_own_model(path: Path, remedy: str) -> keras.Model:
    """Reads a `.keras` file of a run.

    Raises:
      DamagedRecordError: it is gone or damaged.
    """
    refuse_damaged(path, remedy)
    return load_model(path)
