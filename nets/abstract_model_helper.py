"""A model/dataset pair: network, data, loss, metrics and learning-rate schedule."""

from __future__ import annotations

import abc
import copy
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.datasets.options import DatasetOptions
from pocketflow.datasets.sourced_dataset import SourcedDataset
from pocketflow.nets.options import PAIRS, NetOptions
from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph import StandardForm, standard_form, warn_of_frozen
from pocketflow.utils.models.files import load_weights
from pocketflow.utils.training.schedules import (
    WARMUP_EPOCHS,
    GradualWarmup,
    Schedule,
    check_drops,
    one_cycle,
    piecewise_constant,
    scaled_learning_rate,
    tenths,
)

__all__ = ['PAIRS', 'AbstractModelHelper', 'ClassificationHelper', 'NetOptions', 'weight_decay_loss']


@dataclasses.dataclass(frozen=True)
class GivenFile:
    """A trained network that the user has named.

    Attributes:
      named: the path as it was given.
      path: the file to read: that path, or the copy that a run has kept of it.
    """

    named: str
    path: Path


HelperT = TypeVar('HelperT', bound='AbstractModelHelper')


def weight_decay_loss(variables: list[tf.Variable]) -> tf.Tensor:
    """Half the sum of squares of all kernels; biases and normalisation parameters are excluded."""
    kernels = [variable for variable in variables if variable.name.split('/')[-1].split(':')[0].endswith('kernel')]
    return tf.add_n([tf.nn.l2_loss(kernel) for kernel in kernels]) if kernels else tf.constant(0.0)


def reason_of(error: Exception) -> str:
    """One line of an exception's message: the first, or in an AutoGraph message that of the original exception."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    original = [line for line in lines if line.split(':')[0].endswith(('Error', 'Exception'))]
    return (original or lines)[-1 if original else 0]


class AbstractModelHelper(abc.ABC):
    """The interface between a model/dataset pair and the learners.

    Subclasses set `net_options_class`, `dataset_class` and `num_epochs` and implement the abstract methods. Flags
    are derived from the options classes of both, so pairs may define different defaults for one flag.
    """

    net_options_class: type[NetOptions] = NetOptions
    dataset_class: type[SourcedDataset]
    num_epochs: float
    """Of a whole training, with `--nb_epochs_rat=1`."""
    primary_metric = 'accuracy'
    takes_logits = True
    """Whether `calc_loss` takes logits; then a final softmax or sigmoid of a network is removed."""

    def __init__(self, net_options: NetOptions, dataset: SourcedDataset):
        self.net = net_options
        self.dataset = dataset

    @classmethod
    def of_options(
        cls: type[HelperT], net_options: NetOptions, data_options: DatasetOptions, seed: int, given: GivenFile | None
    ) -> HelperT:
        """The pair as the command line describes it.

        Args:
          net_options, data_options: of its network and of its data set.
          seed: of the order and the augmentation of the training samples.
          given: the trained network that the user has named, if any; most pairs need none.
        """
        return cls(net_options, cls.dataset_class(data_options, seed=seed))

    @property
    @abc.abstractmethod
    def model_name(self) -> str:
        """Name of the network with its size, as in `resnet_20`."""

    def for_finetuning(self: HelperT, decay_factor: float, **data_changes: Any) -> HelperT:
        """A copy of the pair for fine-tuning a compressed network.

        Args:
          decay_factor: factor on the weight decay.
          data_changes: new values of data set options, by field name.
        """
        net = self.net.replace(weight_decay=decay_factor * self.net.weight_decay)
        changed = copy.copy(self)
        changed.net, changed.dataset = net, self.dataset.with_options(**data_changes)
        return changed

    @property
    def dataset_name(self) -> str:
        return self.dataset.name

    @abc.abstractmethod
    def build_model(self) -> keras.Model:
        """Builds a functional or sequential, possibly nested model: normalised images -> logits `[batch, classes]`."""

    def check_shapes(self, model: keras.Model, source: str, remedy: str) -> None:
        """Raises a `UsageError` if a model does not map images of the data set to one value per class.

        Args:
          model: a functional model.
          source: file or function that it comes from, for the message.
          remedy: hint for the user, appended to the message.
        """
        shapes = model.input_shape, model.output_shape
        expected = (None, *self.dataset.image_shape), (None, self.dataset.num_classes)
        if shapes != expected:
            raise UsageError(
                f'{source}: maps {shapes[0]} to {shapes[1]}, but {self.dataset_name} needs {expected[0]} '
                f'to {expected[1]}; {remedy}'
            )

    def standard_form(self, model: keras.Model, source: str, remedy: str) -> StandardForm:
        """Converts a model to the learners' standard form: functional, flat, with logits as outputs.

        Args:
          model: a model of the task.
          source: file or function that it comes from, for messages.
          remedy: hint for the user if its shapes do not fit the data set.

        Raises:
          UsageError: it cannot be converted, or does not fit the data set.
        """
        try:
            form = standard_form(model, self.dataset.image_shape, self.takes_logits, self.dataset.num_classes)
        except UsageError as error:
            raise UsageError(f'{source}: {error}') from error
        self.check_shapes(form.model, source, remedy)
        return form

    @property
    def model_source(self) -> str:
        """Name of the `build_model` function, for messages."""
        return f'{type(self).__name__}.build_model()'

    def model_with_weights(self, path: Path) -> keras.Model:
        """What `build_model` gives, with the weights in a file; a `UsageError` if they are not those of the network."""
        model = self.build_model()
        if not model.built:
            model.build((None, *self.dataset.image_shape))
        load_weights(model, path)
        return model

    def built_form(self) -> StandardForm:
        """The model of `build_model` in standard form; raises a `UsageError` if it does not fit the data set."""
        return self.standard_form(self.build_model(), self.model_source, 'change its first or last layer')

    def warn_of_poor(self, model: keras.Model, metrics: Mapping[str, float]) -> None:  # noqa: B027
        """Warns if a trained model does so badly, by its metrics, that it must have been trained on other inputs."""

    def new_form(self) -> StandardForm:
        """A new model to be trained, in standard form; logs the changes that were made to it."""
        form = self.built_form()
        form.log(self.model_source)
        warn_of_frozen(form.model, self.model_source)
        return form

    def new_model(self) -> keras.Model:
        """The model of `new_form`."""
        return self.new_form().model

    @abc.abstractmethod
    def calc_loss(
        self, labels: tf.Tensor, outputs: tf.Tensor, trainable_vars: list[tf.Variable]
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """(loss with weight decay, metrics by name), each a scalar mean over the batch."""

    def check_loss(self, model: keras.Model) -> None:
        """Raises a `UsageError` if `calc_loss` fails; it is traced once with an unknown batch size.

        Args:
          model: a model that fits the data set.
        """
        name, num_classes = f'{type(self).__name__}.calc_loss', self.dataset.num_classes
        labels, outputs = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, num_classes], tf.float32)
        graph_of = tf.function(lambda labels, outputs: self.calc_loss(labels, outputs, model.trainable_variables))
        try:
            loss, metrics = graph_of.get_concrete_function(labels, outputs).structured_outputs
            values = {'loss': loss, **metrics}
            wrong = [key for key, value in values.items() if value.shape.rank or not value.dtype.is_floating]
        except Exception as error:  # the user's code may raise any type
            raise UsageError(
                f'{name} fails on labels int32 [batch] (class numbers) and outputs float32 [batch, '
                f'{num_classes}]: {reason_of(error)}'
            ) from error
        if wrong:
            raise UsageError(f'{name}: {", ".join(wrong)} must be single floating-point numbers, means over the batch')
        missing = {self.primary_metric, 'accuracy'} - set(metrics)
        if missing:
            raise UsageError(
                f'{name}: returns {", ".join(metrics) or "no metrics"}, but not '
                f'{" and ".join(sorted(missing))}, which reports and searches compare (only '
                'classification is supported so far)'
            )

    @abc.abstractmethod
    def setup_lrn_rate(self, epochs_ratio: float | None = None, rate_factor: float = 1.0) -> tuple[Schedule, int]:
        """(learning-rate schedule, number of training steps).

        Args:
          epochs_ratio: share of the pair's number of epochs, 0 for no steps; default: `--nb_epochs_rat`.
          rate_factor: factor on the learning rate, below 1 in fine-tuning.
        """

    def build_dataset_train(
        self, enbl_trn_val_split: bool = False, first_step: int = 0
    ) -> tf.data.Dataset | tuple[tf.data.Dataset, tf.data.Dataset]:
        """An infinite stream of augmented training batches from `first_step` on.

        With `enbl_trn_val_split` a tuple: training batches without held-out samples, and one ordered pass over these.
        """
        train, held_out = self.dataset.split_indices(enbl_trn_val_split)
        batches = self.dataset.train_batches(train, first_step)
        return (batches, self.dataset.ordered_batches('train', held_out)) if enbl_trn_val_split else batches

    def build_dataset_eval(self) -> tf.data.Dataset:
        """One ordered pass over exactly `nb_smpls_eval` evaluation samples."""
        return self.dataset.ordered_batches('eval')

    def training_images(self, num_images: int, seed: int = 0, normalised: bool = True) -> np.ndarray:
        """Distinct training images, not augmented, without the held-out samples.

        Returns:
          float32 `[min(num_images, available), height, width, channels]`, or of the source's type if not `normalised`.
        """
        train, _ = self.dataset.split_indices(enbl_trn_val_split=True)
        chosen = np.random.default_rng(seed).permutation(train)[:num_images]
        return np.concatenate(
            [
                images
                for images, _ in self.dataset.ordered_batches('train', np.sort(chosen), normalised).as_numpy_iterator()
            ]
        )


class ClassificationHelper(AbstractModelHelper):
    """Image classification with softmax cross-entropy and top-1 accuracy.

    Subclasses also set the published schedule: `num_epochs`, the `boundaries` (in epochs) at which the learning rate
    changes, and its `factors`, one more than boundaries; by default a factor of 0.1 at each boundary.
    """

    boundaries: tuple[float, ...] = ()
    factors: tuple[float, ...] | None = None

    def calc_loss(
        self, labels: tf.Tensor, outputs: tf.Tensor, trainable_vars: list[tf.Variable]
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs))
        correct = tf.equal(tf.argmax(outputs, axis=-1, output_type=labels.dtype), labels)
        metrics = {'accuracy': tf.reduce_mean(tf.cast(correct, tf.float32))}
        return loss + self.net.weight_decay * weight_decay_loss(trainable_vars), metrics

    def setup_lrn_rate(self, epochs_ratio: float | None = None, rate_factor: float = 1.0) -> tuple[Schedule, int]:
        ratio = self.net.epochs_ratio if epochs_ratio is None else epochs_ratio
        num_workers = self.dataset.shard.size
        batch_size = self.dataset.options.batch_size * num_workers
        if not hasattr(self, 'num_epochs'):
            raise UsageError(f'{type(self).__name__}: num_epochs is missing; set it to the epochs of a full training')
        steps_per_epoch = self.dataset.num_trained * ratio / batch_size
        num_steps = max(1, int(steps_per_epoch * self.num_epochs)) if ratio else 0
        rate = rate_factor * scaled_learning_rate(self.net.learning_rate, batch_size, self.net.batch_size_norm)
        if self.net.schedule == 'one-cycle':
            return one_cycle(rate, num_steps), num_steps
        boundaries, factors = self.drops()
        schedule = piecewise_constant(rate, steps_per_epoch, boundaries, factors)
        if num_workers > 1:
            schedule = GradualWarmup(schedule, 1 / num_workers, int(WARMUP_EPOCHS * steps_per_epoch))
        return schedule, num_steps

    def drops(self) -> tuple[Sequence[float], Sequence[float]]:
        """The boundaries, in epochs, and the factors of the learning rate before, between and after them.

        Raises:
          UsageError: their numbers do not match, or the boundaries do not rise.
        """
        factors = self.factors
        if factors is None and isinstance(self.boundaries, Sequence):
            factors = tenths(len(self.boundaries))
        try:
            check_drops(self.boundaries, factors)
        except UsageError as error:
            raise UsageError(f'{type(self).__name__}: {error}') from error
        return self.boundaries, factors
