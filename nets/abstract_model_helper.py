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
from pocketflow.nets.tasks import Classification, Task
from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph import Head, StandardForm, standard_form, warn_of_frozen, with_new_head
from pocketflow.utils.graph.inputs import model_inputs
from pocketflow.utils.models.files import load_weights
from pocketflow.utils.runs.model_reader import ModelReader
from pocketflow.utils.tasks.nests import Nest, concatenated, same_shapes, shapes
from pocketflow.utils.training.optimizers import DECOUPLED, is_decayed, make_optimizer
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
from pocketflow.utils.training.trainer import evaluate

__all__ = ['PAIRS', 'AbstractModelHelper', 'ClassificationHelper', 'NetOptions', 'TaskHelper', 'weight_decay_loss']


@dataclasses.dataclass(frozen=True)
class GivenFile:
    """A trained network that the user has named.

    Attributes:
      named: the path as it was given.
      path: the file to read: that path, or the copy that a run has kept of it.
      original: the file of the uncompressed network, if the run in the directory began with another one.
      counts_classes: whether the number of classes is that in the data, as far as it is known from them, instead of
        that of the network's outputs; then the network gets a new head.
      reader: reads it; the model is shared with the rest of the program.
    """

    named: str
    path: Path
    reader: ModelReader = dataclasses.field(default_factory=ModelReader)
    original: Path | None = None
    counts_classes: bool = False


HelperT = TypeVar('HelperT', bound='AbstractModelHelper')


def weight_decay_loss(variables: list[tf.Variable]) -> tf.Tensor:
    """Half the sum of squares of all kernels; biases and normalisation parameters are excluded."""
    kernels = [variable for variable in variables if is_decayed(variable)]
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
    task: Task = Classification()
    """What the outputs of the network mean, and how they are measured."""
    max_training_images: int | None = None
    """Limit of the number of images that `training_images` returns; set by checks that must not take long."""
    takes_logits = True
    """Whether `calc_loss` takes logits if the task does; then a final softmax or sigmoid of a network is removed."""

    def __init__(self, net_options: NetOptions, dataset: SourcedDataset):
        self.net = net_options
        self.dataset = dataset
        dataset.label_check = self.task.check_labels

    def evaluate(self, model: keras.Model, batches: tf.data.Dataset | None = None) -> dict[str, float]:
        """Loss and metrics of a model; by name, `loss` first.

        Args:
          model: a network of the pair.
          batches: one ordered pass; default: over the evaluation set.
        """
        return evaluate(model, self.calc_loss, self.build_dataset_eval() if batches is None else batches, self.task)

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

    def make_optimizer(self, learning_rate: Schedule, variables: Sequence[tf.Variable]) -> keras.optimizers.Optimizer:
        """The optimizer of a training of `variables`."""
        net = self.net
        return make_optimizer(net.optimizer or 'sgd', learning_rate, net.momentum, net.weight_decay, variables)

    def for_finetuning(self: HelperT, decay_factor: float, schedule: str | None = None, **data_changes: Any) -> HelperT:
        """A copy of the pair for fine-tuning a compressed network.

        Args:
          decay_factor: factor on the weight decay.
          schedule: the learning-rate schedule; None: that of the pair.
          data_changes: new values of data set options, by field name.
        """
        net = self.net.replace(
            weight_decay=decay_factor * self.net.weight_decay, schedule=schedule or self.net.schedule
        )
        changed = copy.copy(self)
        changed.net, changed.dataset = net, self.dataset.with_options(**data_changes)
        return changed

    @property
    def dataset_name(self) -> str:
        return self.dataset.name

    @abc.abstractmethod
    def build_model(self) -> keras.Model:
        """Builds a functional or sequential, possibly nested model: normalised images -> outputs of the task.

        For classification these are logits `[batch, classes]`.
        """

    def check_shapes(self, model: keras.Model, source: str, remedy: str) -> None:
        """Raises a `UsageError` if a model does not map inputs of the data set to outputs of the task.

        Args:
          model: a functional model.
          source: file or function that it comes from, for the message.
          remedy: hint for the user, appended to the message.
        """
        dataset = self.dataset
        expected = dataset.image_shape, self.task.output_shape(lambda: shapes(dataset.label_spec), dataset.num_classes)
        if not (same_shapes(model_inputs(model, expected[0]), expected[0]) and _outputs_fit(model, expected[1])):
            raise UsageError(
                f'{source}: maps {model.input_shape} to {model.output_shape}, but {self.dataset_name} needs '
                f'{_shown(expected[0])} to {_shown(expected[1])}; {remedy}'
            )

    def standard_form(
        self, model: keras.Model, source: str, remedy: str, new_head_seed: int | None = None
    ) -> StandardForm:
        """Converts a model to the learners' standard form: functional, flat, with logits as outputs.

        Args:
          model: a model of the task.
          source: file or function that it comes from, for messages.
          remedy: hint for the user if its shapes do not fit the data set.
          new_head_seed: if given, a model with another number of outputs gets a new last layer with weights of this
            seed (`StandardForm.new_head`).

        Raises:
          UsageError: it cannot be converted, or does not fit the data set.
        """
        try:
            takes_logits = self.takes_logits and self.task.takes_logits
            num_classes = self.dataset.num_classes if isinstance(self.task, Classification) else None
            form = standard_form(model, self.dataset.image_shape, takes_logits, num_classes)
            if new_head_seed is not None:
                form = self._with_new_head(form, new_head_seed)
        except UsageError as error:
            raise UsageError(f'{source}: {error}') from error
        self.check_shapes(form.model, source, remedy)
        return form

    def _with_new_head(self, form: StandardForm, seed: int) -> StandardForm:
        """With a new last layer, if the model has one output of another length than the task needs."""
        dataset = self.dataset
        wanted = self.task.output_shape(lambda: shapes(dataset.label_spec), dataset.num_classes)
        had = form.model.output_shape
        if not (isinstance(wanted, tuple) and isinstance(had, tuple) and len(wanted) == 1 and len(had) == 2):
            return form
        if wanted[0] in (None, had[1]):
            return form
        model, new_head = with_new_head(form.model, wanted[0], seed)
        head = form.head
        if head is not None and isinstance(self.task, Classification):
            head = Head('softmax', head.layer)  # one class of several, whatever the former outputs were
        return StandardForm(model, head, new_head)

    @property
    def model_source(self) -> str:
        """Name of the `build_model` function, for messages."""
        return f'{type(self).__name__}.build_model()'

    def pretrained_file(self) -> Path | None:
        """The file of the network with weights from elsewhere, if the options of the network ask for them.

        It is used like one at `--save_path`. It may have to be downloaded; a `PocketFlowError` says if that fails.
        """
        return None

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
        self, labels: Nest, outputs: Nest, trainable_vars: list[tf.Variable]
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """(loss with weight decay, metrics by name), each a scalar mean over the batch."""

    def check_loss(self, model: keras.Model) -> None:
        """Raises a `UsageError` if `calc_loss` fails; it is traced once with an unknown batch size.

        Args:
          model: a model that fits the data set.
        """
        name, labels = f'{type(self).__name__}.calc_loss', self.dataset.label_spec
        outputs = tf.nest.map_structure(lambda tensor: tf.TensorSpec([None, *tensor.shape[1:]]), model.output)

        @tf.function
        def graph_of(labels: Nest, outputs: Nest) -> dict[str, tf.Tensor]:
            loss, metrics = self.calc_loss(labels, outputs, model.trainable_variables)
            return {'loss': loss, **metrics}

        try:
            values = graph_of.get_concrete_function(labels, outputs).structured_outputs
            wrong = [key for key, value in values.items() if value.shape.rank or not value.dtype.is_floating]
        except Exception as error:  # the user's code may raise any type
            raise UsageError(
                f'{name} fails on labels {_specified(labels)} and outputs {_specified(outputs)}: {reason_of(error)}'
            ) from error
        if wrong:
            raise UsageError(f'{name}: {", ".join(wrong)} must be single floating-point numbers, means over the batch')

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

    def training_images(self, num_images: int, seed: int = 0, normalised: bool = True) -> Nest:
        """Distinct training images, not augmented, without the held-out samples.

        Returns:
          float32 `[min(num_images, available), height, width, channels]`, or a structure of arrays for several inputs;
          of the source's type if not `normalised`.
        """
        return self.training_samples(num_images, seed, normalised)[0]

    def training_samples(self, num_images: int, seed: int = 0, normalised: bool = True) -> tuple[Nest, Nest]:
        """The images of `training_images`, and their labels."""
        if self.max_training_images is not None:
            num_images = min(num_images, self.max_training_images)
        train, _ = self.dataset.split_indices(enbl_trn_val_split=True)
        chosen = np.random.default_rng(seed).permutation(train)[:num_images]
        batches = self.dataset.ordered_batches('train', np.sort(chosen), normalised).as_numpy_iterator()
        images, labels = zip(*batches, strict=True)
        return concatenated(list(images)), concatenated(list(labels))


class TaskHelper(AbstractModelHelper):
    """A pair with the loss and the metrics of its task, and a published schedule.

    Subclasses set the `task` and the schedule: `num_epochs`, the `boundaries` (in epochs) at which the learning rate
    changes, and its `factors`, one more than boundaries; by default a factor of 0.1 at each boundary.
    """

    boundaries: tuple[float, ...] = ()
    factors: tuple[float, ...] | None = None

    def calc_loss(
        self, labels: Nest, outputs: Nest, trainable_vars: list[tf.Variable]
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        loss = self.task.loss(labels, outputs)
        if self.net.optimizer not in DECOUPLED:
            loss += self.net.weight_decay * weight_decay_loss(trainable_vars)
        return loss, self.task.batch_metrics(labels, outputs)

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
        schedule = self.published_schedule(rate, steps_per_epoch)
        if num_workers > 1:
            schedule = GradualWarmup(schedule, 1 / num_workers, int(WARMUP_EPOCHS * steps_per_epoch))
        return schedule, num_steps

    def published_schedule(self, rate: float, steps_per_epoch: float) -> Schedule:
        """The schedule of `--lrn_rate_schedule=piecewise`; by default the learning rate changes at the `boundaries`.

        Args:
          rate: the initial learning rate.
          steps_per_epoch: already scaled by `--nb_epochs_rat`.
        """
        boundaries, factors = self.drops()
        return piecewise_constant(rate, steps_per_epoch, boundaries, factors)

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


class ClassificationHelper(TaskHelper):
    """Image classification with softmax cross-entropy and top-1 accuracy; see `TaskHelper` for the schedule.

    With 100 classes or more, the top-5 accuracy is measured, too.
    """

    task = Classification()

    def __init__(self, net_options: NetOptions, dataset: SourcedDataset):
        if self.task is ClassificationHelper.task:
            self.task = Classification(dataset.declared_classes)
        super().__init__(net_options, dataset)


def _outputs_fit(model: keras.Model, expected: Any) -> bool:
    """Whether the outputs have the expected shapes; a list of outputs may stand for a dict, in its order."""
    outputs = model.output
    if isinstance(expected, Mapping) and isinstance(outputs, (list, tuple)):
        expected = list(expected.values())
    return same_shapes(outputs, expected)


def _shown(shape: Any) -> str:
    """A shape with the axis of the batch, or a structure of shapes, for messages."""
    if isinstance(shape, Mapping):
        return '{' + ', '.join(f'{name}: {_shown(part)}' for name, part in shape.items()) + '}'
    if isinstance(shape, (tuple, list)) and all(size is None or isinstance(size, int) for size in shape):
        return str((None, *shape))
    return '[' + ', '.join(map(_shown, shape)) + ']'


def _specified(specs: Nest) -> str:
    """Types and shapes of tensors, for messages: `int32 [batch]`."""
    if isinstance(specs, Mapping):
        return ', '.join(f'{name}: {_specified(spec)}' for name, spec in specs.items())
    if isinstance(specs, (tuple, list)):
        return ', '.join(map(_specified, specs))
    return f'{specs.dtype.name} [{", ".join(map(str, ("batch", *specs.shape[1:])))}]'
