"""Base class of all learners, and the data classes of its interface."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tf_keras as keras
from absl import logging

from pocketflow.hp_optimizer.options import SearchOptions
from pocketflow.learners.forecast import ForecastingLearner
from pocketflow.learners.model_files import CONTAINER_NAME, Finished, load_any, load_own_model
from pocketflow.learners.options import LearnerOptions
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.rl_agents.ddpg.options import DdpgOptions
from pocketflow.utils.compression_plan import CompressionPlan
from pocketflow.utils.distributed.gradient_compression.options import CompressionOptions
from pocketflow.utils.distributed.mirror import CHECKPOINTS, mirror
from pocketflow.utils.distributed.multi_gpu_wrapper import ALONE, Workers
from pocketflow.utils.graph import Head, put_head_on
from pocketflow.utils.models.files import save_model
from pocketflow.utils.options import Options
from pocketflow.utils.quantization.encoding import Encoding
from pocketflow.utils.reports.layer_table import ROW_SHAPE
from pocketflow.utils.runs.given_files import MODEL_NAME
from pocketflow.utils.runs.metrics_log import MetricsLog
from pocketflow.utils.runs.records import Record, read_record, required_record
from pocketflow.utils.runs.run_directory import RunDirectory
from pocketflow.utils.system import atomic
from pocketflow.utils.system.progress import number
from pocketflow.utils.training.distillation import Distillation
from pocketflow.utils.training.options import TrainerOptions
from pocketflow.utils.training.trainer import DistributedContext, LossFn, Trainer, TrainerParts, refuse_divergence

PLAN_NAME = 'plan.json'
COMPRESSED, RESULT = 'compressed.json', 'result.json'
"""Records that mark a stage as compressed, and as finished; each is written after all other files."""
METRICS_SHAPE = {'loss': float, ...: float}
COMPRESSED_SHAPE = {'metrics_compressed': METRICS_SHAPE, 'layers': [ROW_SHAPE]}


@dataclasses.dataclass(frozen=True)
class LearnerContext:
    """Environment of a learner: pair, run directory, shared options, workers.

    Attributes:
      helper: the model/dataset pair.
      run: the run directory.
      folder: the stage's folder in the run directory.
      learner_options, trainer_options: the shared options.
      distillation: the teacher and its loss, if distillation is on.
      log: receives the metrics.
      seed: `--seed`.
      workers: the workers of the training; the primary compresses, finishes and writes, the others load its results.
      compression: gradient compression between the workers.
      num_epochs: length of the training after `compress`, overriding the options; for trials.
      search, ddpg: options of the search for values per layer.
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
        """Distributed settings of one training; `batch_size` is per worker."""
        return DistributedContext(self.workers, self.compression, batch_size * self.workers.size, self.seed)


@dataclasses.dataclass(frozen=True)
class Compressed:
    """Result of `compress`.

    Attributes:
      model: the compressed model, not yet fine-tuned.
      plan: the plan that it was built from, if any.
      layers: one JSON-serialisable row per layer for the report.
      head: the head that was taken off a new network; other stages keep that of the stage before.
    """

    model: keras.Model
    plan: CompressionPlan | None = None
    layers: tuple[Record, ...] = ()
    head: Head | None = None


@dataclasses.dataclass(frozen=True)
class StageResult:
    """Result of a finished stage.

    Attributes:
      name: the learner's name.
      model: the finished model, which is the input of the next stage.
      metrics_compressed, metrics: metrics on the evaluation set before and after fine-tuning.
      layers: one row per layer for the report.
      encodings: the integer codes of the model's kernels, if any.
      export_formats, reference_format: the learner's default export formats, and the format of the reference file.
      search: the record of the learner's search, if there was one.
      head: the head that was taken off the network.
      curves: the report's entry on sensitivity curves, if there were any.
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
    head: Head | None = None
    curves: Mapping[str, Any] | None = None


class AbstractLearner(ForecastingLearner):
    """A learner: compresses, fine-tunes, saves and evaluates a model; an interrupted stage resumes after the last part.

    Subclasses set `options_class` and implement `compress`; `@LEARNERS.register` sets `name`. If the trained model
    differs from the finished one, for example by layers with fake quantization, they also override `finish`.
    """

    name: str
    options_class: type[Options] = Options
    timing = ('select', 'finetune')
    """Keys of the durations of the two parts in the report."""
    export_formats: tuple[str, ...] = ('float32', 'float16', 'dynamic', 'int8')
    """Default of `--export_formats`; the verdict is on the first."""
    reference_format: str | None = None
    """Export format of the uncompressed model in the comparison; None: the same format."""
    keeps_shapes = False
    """Whether the finished model has the same layers and shapes as the input model."""

    def __init__(self, context: LearnerContext, options: Options):
        self.context, self.options = context, options
        self.helper = context.helper

    def check_inputs(self) -> None:
        """Rejects missing or damaged files that the options name, before any training."""

    def check_layers(self, make_model: Callable[[], keras.Model]) -> None:
        """Rejects options that leave no layer to compress or name unknown layers, before any training.

        Args:
          make_model: returns an untrained model with the layers of the input of `compress`, which may have fewer
            channels. The model is built at the first call and cached; learners that do not need it do not call it.
        """

    def check_model(self, make_model: Callable[[], keras.Model]) -> None:
        """Rejects options that are invalid for a model of this architecture, before any training.

        Not called if earlier learners of the chain change the architecture.

        Args:
          make_model: as for `check_layers`, but with exactly the shapes of the input of `compress`.
        """

    def search_values(self, model: keras.Model | None) -> Mapping[str, Any] | None:
        """Searches for the values per layer, on all workers together.

        Args:
          model: as for `compress`.

        Returns:
          Layer -> value, for `compress`; None if the options fix the values, as in this base class.
        """
        return None

    def prepare(self, model: keras.Model | None, found: Mapping[str, Any] | None) -> None:
        """Work of all workers together that precedes `compress`, such as trainings between its steps.

        It saves its results in the stage's folder, and continues where it was interrupted. Arguments as for `compress`.
        """

    @abc.abstractmethod
    def compress(self, model: keras.Model | None, found: Mapping[str, Any] | None = None) -> Compressed:
        """Compresses the model of the stage before.

        Args:
          model: a trained model, which is not modified; None for a learner that begins a chain.
          found: the result of `search_values`.
        """

    def finish(self, model: keras.Model, plan: CompressionPlan | None) -> Finished:
        """Converts the trained model to the one that is saved and passed on; `plan` is that of `compress`."""
        return Finished(model)

    def schedule(self) -> tuple[keras.optimizers.schedules.LearningRateSchedule, int]:
        """(learning-rate schedule, number of steps) of the training after `compress`."""
        epochs_ratio, rate_factor = self.training_length()
        if self.context.num_epochs is not None:
            epochs_ratio = self.context.num_epochs / self.helper.num_epochs
        return self.training_helper().setup_lrn_rate(epochs_ratio, rate_factor)

    def training_length(self) -> tuple[float | None, float]:
        """(share of the pair's number of epochs, factor on its learning rate), as for `setup_lrn_rate`."""
        options = self.context.learner_options
        return options.epochs_ratio_finetune, options.rate_factor_finetune

    def training_helper(self) -> AbstractModelHelper:
        """The pair with the options of fine-tuning, for the training after `compress`."""
        options = self.context.learner_options
        data = {'batch_size': options.batch_size_finetune, 'crop_padding': options.crop_padding_finetune}
        return self.helper.for_finetuning(
            options.decay_factor_finetune,
            options.schedule_finetune,
            **{name: value for name, value in data.items() if value is not None},
        )

    def loss_fn(self) -> LossFn:
        """The loss of the training after `compress`."""
        return self.training_helper().calc_loss

    def trainer_parts(self, model: keras.Model, plan: CompressionPlan | None) -> TrainerParts:
        """Additions to the training, such as constraints that enforce the plan of `compress`."""
        return TrainerParts(distillation=self.context.distillation)

    def run(self, model: keras.Model | None, head: Head | None = None) -> StageResult:
        """Runs the stage, or the remaining parts of an interrupted one.

        Args:
          model: as for `compress`.
          head: the head that was taken off the network.
        """
        workers, folder, finished = self.context.workers, self.context.folder, None
        if workers.share((folder / RESULT).exists):
            logging.info('%s: already finished in %s', self.name, folder)
        else:
            compressed = self._compressed(model, head)
            self._train(compressed)
            finished = self._finish(compressed) if workers.is_primary else None
        mirror(workers, folder)
        return self._result(finished or self._load(), self._read_result())

    def try_out(self, model: keras.Model) -> keras.Model:
        """The finished model of the stage for a trial: nothing is saved, evaluated or logged."""
        compressed = self.compress(model)
        self.fit(compressed, label=None)
        return self.finish(compressed.model, compressed.plan).model

    def _compressed(self, model: keras.Model | None, head: Head | None) -> Compressed:
        """The compressed model of the primary, on all workers."""
        workers, folder, found = self.context.workers, self.context.folder, None
        if not workers.share((folder / COMPRESSED).exists):
            found = self.search_values(model)
            self.prepare(model, found)
        compressed = self._compress_once(model, head, found) if workers.is_primary else None
        mirror(workers, folder)
        return compressed or self._load_compressed()

    def _load_compressed(self) -> Compressed:
        """Loads the files of `_compress_once` that the training needs."""
        folder = self.context.folder
        model, head = self._without_head(load_own_model(folder / 'compressed.keras', self._how_to_compress_again))
        plan = CompressionPlan.load(folder / PLAN_NAME) if (folder / PLAN_NAME).exists() else None
        return Compressed(model, plan, head=head)

    def _finish(self, trained: Compressed) -> Finished:
        """Finishes, saves and evaluates the trained model; the record of the finished stage is written last."""
        finished = dataclasses.replace(self.finish(trained.model, trained.plan), head=trained.head)
        compressed = required_record(self.context.folder / COMPRESSED, COMPRESSED_SHAPE, self._how_to_compress_again)
        record = {**compressed, 'metrics': self.evaluate(finished.model)}
        refuse_divergence(record['metrics_compressed']['loss'], record['metrics']['loss'], self.name)
        finished.save(self.context.folder)
        atomic.write_json(self.context.folder / RESULT, record)
        logging.info('%s: %s', self.name, describe(record['metrics']))
        return finished

    def _load(self) -> Finished:
        """Loads the finished model; integer codes are only in the container."""
        container, path = (self.context.folder / name for name in (CONTAINER_NAME, MODEL_NAME))
        if container.exists():
            finished = load_any(container)
        else:
            remedy = f'delete {self.context.folder / RESULT} to finish the stage again'
            finished = Finished(load_own_model(path, remedy))
        model, head = self._without_head(finished.model)
        return dataclasses.replace(finished, model=model, head=head)

    def _without_head(self, model: keras.Model) -> tuple[keras.Model, Head | None]:
        """(what is trained, head) of a model that the learner has saved."""
        form = self.helper.standard_form(model, str(self.context.folder), 'delete the folder to begin the stage again')
        return form.model, form.head

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
            finished.head,
            self.curves_record(),
        )

    def search_record(self) -> Mapping[str, Any] | None:
        """The report's entry on the learner's search, if there was one."""
        return None

    def curves_record(self) -> Mapping[str, Any] | None:
        """The report's entry on the sensitivity curves by which the learner has distributed a budget, if it did."""
        return None

    def evaluate(self, model: keras.Model) -> dict[str, float]:
        return self.helper.evaluate(model)

    def _compress_once(
        self, model: keras.Model | None, head: Head | None, found: Mapping[str, Any] | None
    ) -> Compressed:
        """Calls `compress`, or loads its saved result."""
        folder = self.context.folder
        if self._read_compressed() is not None:
            return self._load_compressed()
        with self.context.run.timed(self.timing[0]):
            # Learners that search for nothing need not take what was found.
            compressed = self.compress(model) if found is None else self.compress(model, found)
        compressed = dataclasses.replace(compressed, head=compressed.head or head)
        metrics = self.evaluate(compressed.model)
        record = {'metrics_compressed': metrics, 'layers': list(compressed.layers)}
        save_model(put_head_on(compressed.model, compressed.head), folder / 'compressed.keras')
        if compressed.plan is not None:
            compressed.plan.save(folder / PLAN_NAME)
            logging.info('%s: before fine-tuning: %s', self.name, describe(metrics))
        atomic.write_json(folder / COMPRESSED, record)
        return compressed

    def _train(self, compressed: Compressed) -> None:
        folder = self.context.folder
        with self.context.run.timed(self.timing[1]):
            self.fit(compressed, folder=folder / CHECKPOINTS, log=self.context.log, label=folder.name)

    def fit(
        self,
        compressed: Compressed,
        num_steps: int | None = None,
        optimizer: keras.optimizers.Optimizer | None = None,
        **trainer_arguments: Any,
    ) -> float:
        """Trains the compressed model; returns the steady-state speed in images per second.

        Args:
          compressed: the result of `compress`.
          num_steps: number of steps; default: that of the schedule.
          optimizer: default: the pair's, with the schedule.
          **trainer_arguments: of `Trainer`.
        """
        (schedule, num_scheduled), helper = self.schedule(), self.training_helper()
        parts = self.trainer_parts(compressed.model, compressed.plan)
        trainer = Trainer(
            compressed.model,
            self.loss_fn(),
            optimizer or helper.make_optimizer(schedule, parts.trained(compressed.model)),
            self.context.trainer_options,
            parts=parts,
            distributed=self.context.distributed(helper.dataset.options.batch_size),
            **trainer_arguments,
        )
        steps = num_scheduled if num_steps is None else num_steps
        return trainer.fit(lambda step: helper.build_dataset_train(first_step=step), steps)


def describe(metrics: dict[str, float]) -> str:
    """Metrics in one line, for example `loss 0.41 accuracy 0.913`."""
    return ' '.join(f'{name} {number(value)}' for name, value in metrics.items())
