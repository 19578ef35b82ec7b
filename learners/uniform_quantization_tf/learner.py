"""`uniform-tf`: quantization-aware training for int8 files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from pocketflow.learners.abstract_learner import AbstractLearner, Compressed
from pocketflow.learners.int8_networks import check_network, unquantized_layers
from pocketflow.learners.options import LEARNERS
from pocketflow.learners.uniform_quantization_tf.checking import check_norms_to_freeze
from pocketflow.learners.uniform_quantization_tf.options import UniformQuantizationTFOptions
from pocketflow.utils.compression_plan import CompressionPlan
from pocketflow.utils.errors import UsageError
from pocketflow.utils.quantization.int8 import plain_if_quantization_aware
from pocketflow.utils.quantization.int8.inspect import step_variables
from pocketflow.utils.reports.layer_rows import layer_rows
from pocketflow.utils.runs.records import Record
from pocketflow.utils.training.trainer import TrainerParts

FLOAT_BITS = 32


@LEARNERS.register('uniform-tf')
class UniformQuantTFLearner(AbstractLearner):
    """Quantization-aware training (Jacob et al. 2018) by TensorFlow Model Optimization.

    Fake quantization rounds weights and activations at the same places as the int8 file, with straight-through
    gradients. Activation ranges are initialised by calibration on training images, and then updated as moving averages.
    """

    options_class = UniformQuantizationTFOptions
    options: UniformQuantizationTFOptions
    export_formats = ('int8',)
    reference_format = 'float32'

    def check_inputs(self) -> None:
        self._check_delay()

    def check_layers(self, make_model: Callable[[], keras.Model]) -> None:
        model = make_model()
        if self.options.freeze_bn_delay is not None:
            check_norms_to_freeze(model)
        check_network(model, self.name)

    def compress(self, model: keras.Model | None, found: Mapping[str, Any] | None = None) -> Compressed:
        from pocketflow.utils.quantization.int8.wrapping import Settings, quantization_aware, strip_quantization

        options = self.options
        self._check_delay()
        settings = Settings(options.weight_bits, options.activation_bits, options.quant_delay, options.freeze_bn_delay)
        images = self.helper.training_images(options.num_images, self.context.seed)
        model = plain_if_quantization_aware(model)  # what post-training returns
        wrapped = quantization_aware(model, images, settings)
        rows = layer_rows(model, strip_quantization(wrapped), {}, left_in_float(model, wrapped))
        return Compressed(wrapped, layers=tuple(self._with_bits(rows, wrapped)))

    def explain_layers(self, model: keras.Model) -> dict[str, str]:
        return unquantized_layers(plain_if_quantization_aware(model))

    def num_images_read(self) -> int:
        return self.options.num_images

    def training_length(self) -> tuple[float, float]:
        ratio, epochs = self.context.learner_options.epochs_ratio_finetune, self.options.quant_epochs
        ratio = ratio if epochs is None else epochs / self.helper.num_epochs
        return ratio, self.options.rate_factor

    def trainer_parts(self, model: keras.Model, plan: CompressionPlan | None) -> TrainerParts:
        constraints = [*zero_constraints(model), *self._clocks(model)]

        def constraint(step: tf.Tensor) -> None:
            for apply in constraints:
                apply(step)

        return dataclasses.replace(super().trainer_parts(model, plan), constraint=constraint if constraints else None)

    def _check_delay(self) -> None:
        _, num_steps = self.schedule()
        if self.options.quant_delay >= num_steps and self.options.quant_delay:
            raise UsageError(
                f'--uqtf_quant_delay={self.options.quant_delay}: must be below the {num_steps} steps of '
                'training, else quantization never starts; lower it or raise --nb_epochs_rat_ft'
            )

    def _clocks(self, model: keras.Model) -> list[Callable[[tf.Tensor], None]]:
        """Callbacks that pass the number of completed steps to layers that depend on it."""
        if not self.options.quant_delay and self.options.freeze_bn_delay is None:
            return []
        steps = step_variables(model)

        def advance(step: tf.Tensor) -> None:
            for variable in steps:
                variable.assign(tf.cast(step, variable.dtype))

        return [advance]

    def _with_bits(self, rows: Sequence[Record], model: keras.Model) -> list[Record]:
        wrapped = {layer.name: layer for layer in model.layers if getattr(layer, 'kernel_variable', None) is not None}
        return [
            {**row, 'bits': [FLOAT_BITS, self.options.weight_bits]} if row['layer'] in wrapped else row for row in rows
        ]


def left_in_float(model: keras.Model, wrapped: keras.Model) -> dict[str, str]:
    """Layer -> reason, for the layers with weights that are not quantized."""
    rounded = {layer.name for layer in wrapped.layers if getattr(layer, 'kernel_variable', None) is not None}
    return {
        layer.name: f'weights stay in float: int8 is not simulated for {type(layer).__name__}'
        for layer in model.layers
        if getattr(layer, 'kernel', None) is not None and layer.name not in rounded
    }


def zero_constraints(model: keras.Model) -> list[Callable[[tf.Tensor], None]]:
    """One constraint per kernel with zeros, which keeps these weights at zero."""
    kernels = [layer.kernel_variable for layer in model.layers if getattr(layer, 'kernel_variable', None) is not None]
    return [_zero_constraint(kernel) for kernel in kernels if (kernel.numpy() == 0).any()]


def _zero_constraint(kernel: tf.Variable) -> Callable[[tf.Tensor], None]:
    mask = tf.constant(kernel.numpy() != 0, kernel.dtype)
    return lambda step: kernel.assign(kernel * mask)
