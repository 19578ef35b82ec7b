"""`uniform-tf`: training for the int8 file, by simulating its arithmetic."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import tensorflow as tf
import tf_keras as keras

from pocketflow.learners.abstract_learner import LEARNERS, AbstractLearner, Compressed
from pocketflow.learners.uniform_quantization_tf.checking import check_network
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import Options, option
from pocketflow.utils.reports.layer_table import layer_rows
from pocketflow.utils.training.trainer import TrainerParts

FLOAT_BITS = 32
INT8_BITS = 8


@dataclasses.dataclass(frozen=True)
class UniformQuantizationTFOptions(Options):
    """How int8 arithmetic is simulated while training."""

    superseded = {
        'uqtf_save_path': 'results are in --run_dir',
        'uqtf_save_path_eval': 'results are in --run_dir',
        'uqtf_save_path_probe': 'there is nothing to probe for',
        'uqtf_save_path_probe_eval': 'there is nothing to probe for',
    }
    superseded_switches = {'uqtf_enbl_manual_quant': 'every tensor that the int8 file writes gets its range'}

    weight_bits: int = option(
        'uqtf_weight_bits', INT8_BITS, 'bits of the weights; fewer than 8 are stored in 8', low=2, high=INT8_BITS
    )
    activation_bits: int = option('uqtf_activation_bits', INT8_BITS, 'bits of the activations: 8')
    quant_delay: int = option('uqtf_quant_delay', 0, 'training steps before values are rounded', low=0)
    freeze_bn_delay: int | None = option(
        'uqtf_freeze_bn_delay',
        None,
        'training steps before batch norms stop following the batches; default: never',
        low=0,
    )
    rate_factor: float = option('uqtf_lrn_rate_dcy', 1e-2, 'learning rate, as a share of lrn_rate_init', above=0)
    quant_epochs: float | None = option(
        'uqtf_quant_epochs', None, 'epochs of training; default: as nb_epochs_rat_ft says', low=0
    )
    num_images: int = option('uqtf_nb_smpls', 500, 'training images from which the ranges of activations start', low=1)

    def check(self) -> None:
        if self.activation_bits != INT8_BITS:
            raise UsageError(
                f'--uqtf_activation_bits={self.activation_bits}: the file computes with activations of '
                f'{INT8_BITS} bits; give {INT8_BITS}, or choose --learner=uniform --uql_activation_bits='
                f'{self.activation_bits}, which simulates other widths'
            )


@LEARNERS.register('uniform-tf')
class UniformQuantTFLearner(AbstractLearner):
    """Quantization-aware training (Jacob et al. 2018) by TensorFlow Model Optimization.

    The model rounds weights and activations exactly where its int8 file will, with gradients passed straight through,
    and is trained to live with it. Activation ranges start from training images and then follow the batches.
    """

    name = 'uniform-tf'
    options_class = UniformQuantizationTFOptions
    replaced_flags = {'nb_epochs_rat_ft': 'uqtf_quant_epochs', 'lrn_rate_rat_ft': 'uqtf_lrn_rate_dcy'}
    export_formats = exports_only = ('int8',)
    reference_format = 'float32'
    refuses_after = dict.fromkeys(
        ('uniform', 'non-uniform'),
        'it rounds all weights to int8 itself, so the codes that the learner before has found would be lost',
    )
    must_be_last = 'its model holds the ranges of its int8 file, which any change of the weights would invalidate'

    def check_inputs(self) -> None:
        self._check_delay()

    def check_layers(self, make_model: Callable[[], keras.Model]) -> None:
        check_network(make_model())

    def compress(self, model: keras.Model) -> Compressed:
        from pocketflow.utils.quantization.int8.wrapping import Settings, quantization_aware, strip_quantization

        options = self.options
        self._check_delay()
        settings = Settings(options.weight_bits, options.activation_bits, options.quant_delay, options.freeze_bn_delay)
        images = self.helper.training_images(options.num_images, self.context.seed)
        wrapped = quantization_aware(model, images, settings)
        rows = layer_rows(model, strip_quantization(wrapped), {}, left_in_float(model, wrapped))
        return Compressed(wrapped, layers=tuple(self._with_bits(rows, wrapped)))

    def training_length(self) -> tuple[float, float]:
        ratio, epochs = self.context.learner_options.epochs_ratio_finetune, self.options.quant_epochs
        ratio = ratio if epochs is None else epochs / self.helper.num_epochs
        return ratio, self.options.rate_factor

    def trainer_parts(self, model: keras.Model) -> TrainerParts:
        constraints = [*zero_keepers(model), *self._clocks(model)]

        def constraint(step: tf.Tensor) -> None:
            for apply in constraints:
                apply(step)

        return dataclasses.replace(super().trainer_parts(model), constraint=constraint if constraints else None)

    def _check_delay(self) -> None:
        _, num_steps = self.schedule()
        if self.options.quant_delay >= num_steps and self.options.quant_delay:
            raise UsageError(
                f'--uqtf_quant_delay={self.options.quant_delay}: must be below the {num_steps} steps of '
                'training, else quantization never starts; lower it or raise --nb_epochs_rat_ft'
            )

    def _clocks(self, model: keras.Model) -> list[Callable[[tf.Tensor], None]]:
        """What tells the layers how many steps are done, if anything depends on it."""
        if not self.options.quant_delay and self.options.freeze_bn_delay is None:
            return []
        steps = [layer.optimizer_step for layer in model.layers if hasattr(layer, 'optimizer_step')]

        def advance(step: tf.Tensor) -> None:
            for variable in steps:
                variable.assign(tf.cast(step, variable.dtype))

        return [advance]

    def _with_bits(self, rows: Sequence[dict], model: keras.Model) -> list[dict]:
        wrapped = {layer.name: layer for layer in model.layers if getattr(layer, 'kernel_variable', None) is not None}
        return [
            {**row, 'bits': [FLOAT_BITS, self.options.weight_bits]} if row['layer'] in wrapped else row for row in rows
        ]


def left_in_float(model: keras.Model, wrapped: keras.Model) -> dict[str, str]:
    """Why the weights of a layer are not rounded, by name of those that have some."""
    rounded = {layer.name for layer in wrapped.layers if getattr(layer, 'kernel_variable', None) is not None}
    return {
        layer.name: f'weights stay in float: int8 is not simulated for {type(layer).__name__}'
        for layer in model.layers
        if getattr(layer, 'kernel', None) is not None and layer.name not in rounded
    }


def zero_keepers(model: keras.Model) -> list[Callable[[tf.Tensor], None]]:
    """Constraints that keep the weights zero that are zero now, for each kernel that has such weights."""
    kernels = [layer.kernel_variable for layer in model.layers if getattr(layer, 'kernel_variable', None) is not None]
    return [_zero_keeper(kernel) for kernel in kernels if (kernel.numpy() == 0).any()]


def _zero_keeper(kernel: tf.Variable) -> Callable[[tf.Tensor], None]:
    mask = tf.constant(kernel.numpy() != 0, kernel.dtype)
    return lambda step: kernel.assign(kernel * mask)
