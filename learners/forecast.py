"""What a learner would do with a network, predicted without training: the learners' part of `--exec_mode=check`."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import tf_keras as keras

from pocketflow.nets.abstract_model_helper import AbstractModelHelper

if TYPE_CHECKING:
    from pocketflow.learners.abstract_learner import Compressed

FLOAT_BYTES = 4


@dataclasses.dataclass(frozen=True)
class Speed:
    """Measured durations, in seconds.

    Attributes:
      step: one step of the stage's training.
      image: inference of one image, in a batch of the evaluation.
      prediction: the learner's `predict`.
    """

    step: float
    image: float
    prediction: float


@dataclasses.dataclass(frozen=True)
class Effort:
    """Estimated duration in seconds, and memory in bytes besides that of the model."""

    seconds: float
    num_bytes: int


class ForecastingLearner(abc.ABC):
    """The predictions of a learner; subclasses override what differs from these defaults."""

    helper: AbstractModelHelper

    @abc.abstractmethod
    def compress(self, model: keras.Model | None, found: Mapping[str, Any] | None = None) -> Compressed:
        """As in `AbstractLearner`."""

    def explain_layers(self, model: keras.Model) -> dict[str, str]:
        """Each layer with a kernel -> the reason why `compress` leaves it as it is; '' if it is compressed.

        Args:
          model: a model that `compress` accepts.
        """
        return dict.fromkeys(layers_with_kernels(model), '')

    def predict(self, model: keras.Model) -> Compressed:
        """A compressed model of the shape, sparsity and bits of the one in the run, in seconds.

        By default the result of `compress`, which reads few images if `helper.max_training_images` is set. The weights
        need not be those of the run.
        """
        return self.compress(model)

    def prediction_method(self) -> str:
        """How `predict` finds shapes, sparsity and bits, for the reader of the prediction."""
        return 'exact: set by the flags and the layers'

    def num_images_read(self) -> int:
        """Number of training images that `compress` reads."""
        return 0

    def compress_effort(self, model: keras.Model, speed: Speed) -> Effort:
        """Estimated duration and memory of `compress` for this model; by default the images are held twice."""
        num_images = self.num_images_read()
        image_bytes = FLOAT_BYTES * math.prod(self.helper.dataset.image_shape)
        return Effort(speed.prediction + num_images * speed.image, 2 * num_images * image_bytes)

    def search_seconds(self, model: keras.Model, speed: Speed) -> float:
        """Estimated duration of the search before `compress`; 0 without a search."""
        return 0.0


def layers_with_kernels(model: keras.Model) -> list[str]:
    """Names of the layers with weights of two or more axes, in the model's order."""
    return [layer.name for layer in model.layers if any(weight.shape.rank > 1 for weight in layer.weights)]
