"""What a check finds out about each stage: the predicted model, one real step, and estimates of time and memory."""

from __future__ import annotations

import dataclasses
import resource
import time
from collections.abc import Mapping
from typing import Any

import tf_keras as keras

from pocketflow.learners.abstract_learner import AbstractLearner, Compressed
from pocketflow.learners.forecast import Speed
from pocketflow.learners.model_files import Finished
from pocketflow.utils.costs.cost_model import total_macs, total_parameters
from pocketflow.utils.runs.records import Record

NUM_STEPS = 3
"""Steps of the trial training: one that is traced and compiled, and two that are timed."""


@dataclasses.dataclass(frozen=True)
class StageForecast:
    """Forecast of one stage.

    Attributes:
      name, folder: of the learner, and of the stage in the run directory.
      method: how the compressed model was predicted.
      reasons: layer with a kernel -> why it is left alone, '' if it is compressed.
      rows: the rows of the report's layer table, as predicted.
      finished: the predicted model, with untrained weights.
      num_steps: steps of the training.
      step_seconds: duration of a step after the first one; None if nothing is trained.
      is_measured: whether it was measured here, or derived from another stage by the multiply-adds.
      search_seconds, compress_seconds: estimates.
      evaluate_seconds: of the evaluations before and after the training.
      memory_bytes: peak of the process in the trial steps, or the estimate for `compress`, whichever is larger.
    """

    name: str
    folder: str
    method: str
    reasons: Mapping[str, str]
    rows: tuple[Record, ...]
    finished: Finished
    num_steps: int
    step_seconds: float | None
    is_measured: bool
    search_seconds: float
    compress_seconds: float
    evaluate_seconds: float
    memory_bytes: int

    @property
    def train_seconds(self) -> float:
        return self.num_steps * (self.step_seconds or 0.0)

    @property
    def seconds(self) -> float:
        """Duration of the whole stage."""
        return self.search_seconds + self.compress_seconds + self.train_seconds + self.evaluate_seconds

    def to_json(self) -> dict[str, Any]:
        kept = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ('finished', 'rows', 'reasons')
        }
        return {
            **kept,
            'train_seconds': self.train_seconds,
            'seconds': self.seconds,
            'macs': total_macs(self.finished.model),
            'parameters': total_parameters(self.finished.model),
        }


def forecast_stage(
    learner: AbstractLearner,
    folder: str,
    model: keras.Model,
    image_seconds: float,
    step_seconds_per_mac: float | None = None,
) -> StageForecast:
    """Predicts the model of a stage, trains it for some steps on real data, and estimates the stage.

    Args:
      learner: the learner; its options make the trainer report each step.
      folder: name of the stage's folder.
      model: the model that the stage before is predicted to return.
      image_seconds: duration of the inference of one image in a batch.
      step_seconds_per_mac: seconds per step and multiply-add, measured in another stage; if given, nothing is trained.

    Raises:
      PocketFlowError: the real run would fail here.
    """
    begin = time.monotonic()
    compressed = learner.predict(model)
    prediction_seconds = time.monotonic() - begin
    num_steps = learner.schedule()[1]
    step_seconds = None
    if num_steps and step_seconds_per_mac is not None:
        step_seconds = step_seconds_per_mac * total_macs(compressed.model)
    elif num_steps:
        step_seconds = trial_step_seconds(learner, compressed)
    speed = Speed(step_seconds or 0.0, image_seconds, prediction_seconds)
    effort = learner.compress_effort(model, speed)
    num_evaluated = len(learner.helper.dataset.source('eval'))
    return StageForecast(
        learner.name,
        folder,
        learner.prediction_method(),
        learner.explain_layers(model),
        compressed.layers,
        learner.finish(compressed.model, compressed.plan),
        num_steps,
        step_seconds,
        step_seconds_per_mac is None,
        learner.search_seconds(model, speed),
        effort.seconds,
        2 * num_evaluated * image_seconds,
        max(peak_bytes(), effort.num_bytes),
    )


def trial_step_seconds(learner: AbstractLearner, compressed: Compressed) -> float:
    """Seconds per training step on real batches, without the first step, which includes the compilation."""
    images_per_second = learner.fit(compressed, NUM_STEPS, label=None)
    return learner.training_helper().dataset.options.batch_size / images_per_second


def peak_bytes() -> int:
    """Peak of the resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
