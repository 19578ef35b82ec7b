"""Base class of the learners that quantize weights: choice of layers and bits, training, and final encoding."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import tf_keras as keras

from pocketflow.learners.abstract_learner import Compressed
from pocketflow.learners.forecast import layers_with_kernels
from pocketflow.learners.model_files import Finished
from pocketflow.learners.search import SearchingLearner
from pocketflow.learners.weight_quantization.bits_candidates import BitsCandidates
from pocketflow.learners.weight_quantization.options import WeightBitsOptions
from pocketflow.utils.compression_plan import CompressionPlan, load_plan
from pocketflow.utils.errors import UsageError
from pocketflow.utils.quantization import (
    Quantizer,
    activation_ranges,
    quantizable_layers,
    quantized_copy,
    strip_quantization,
    unquantizable_layers,
)
from pocketflow.utils.quantization.limits import FULL_BITS
from pocketflow.utils.quantization.post_training import WeightFormat, quantize
from pocketflow.utils.reports.layer_rows import layer_rows
from pocketflow.utils.runs.records import Record

FIRST, LAST = 'first layer', 'last layer'
NUM_CALIBRATION_IMAGES = 1000


def skip_reasons(model: keras.Model, options: WeightBitsOptions) -> dict[str, str]:
    """Layer with kernels that stays in full precision -> the reason; layers that are not named are quantized."""
    names = [layer.name for layer in quantizable_layers(model)]
    ends = {} if options.quantize_all_layers or not names else {names[-1]: LAST, names[0]: FIRST}
    return {**unquantizable_layers(model), **ends}


def load_bits_plan(options: WeightBitsOptions, learner: str) -> CompressionPlan | None:
    """Loads the plan in the options, if there is one: a file, or the run directory of this learner.

    Raises:
      UsageError: it does not exist, is of another kind, or has widths that these options do not accept.
    """
    if options.bits_plan is None:
        return None
    flag, path = options.flag('bits_plan'), options.bits_plan
    plan = load_plan(path, learner, 'bits', flag)
    low, high = options.bits_range()
    for layer, bits in plan.widths().items():
        if not low <= bits <= high and bits != FULL_BITS:
            raise UsageError(
                f'--{flag}={path}: {bits} bits for {layer!r}; give {low} to {high}, or {FULL_BITS} for full precision'
            )
    return plan


def layer_bits(
    model: keras.Model, skipped: Mapping[str, str], options: WeightBitsOptions, plan: CompressionPlan | None
) -> dict[str, int]:
    """The quantized layers, in order -> the bits of their weights.

    Raises:
      UsageError: the plan was made for another model or names a layer that is skipped, or no layer remains.
    """
    wanted: Mapping[str, int] = {}
    if plan is not None:
        plan.check_model(model)
        wanted = plan.widths()
    for name, reason in skipped.items():
        if wanted.get(name, FULL_BITS) != FULL_BITS:
            remedy = (
                f'pass --{options.flag("quantize_all_layers")}'
                if reason in (FIRST, LAST)
                else 'remove it from the plan'
            )
            raise UsageError(
                f'--{options.flag("bits_plan")}: the plan quantizes {name}, which stays in full precision '
                f'({reason}); {remedy}'
            )
    bits = {
        layer.name: wanted.get(layer.name, options.weight_bits)
        for layer in quantizable_layers(model)
        if layer.name not in skipped
    }
    bits = {name: width for name, width in bits.items() if width != FULL_BITS}
    if not bits:
        raise UsageError(
            f'no layer is left to quantize: model {model.name!r} has no Conv2D, DepthwiseConv2D or Dense '
            f'layer but its first and last one, or the plan excludes them; --'
            f'{options.flag("quantize_all_layers")} includes first and last'
        )
    return bits


class WeightBitsLearner(SearchingLearner):
    """Trains a model with fake quantization of weights and activations, and encodes its weights as integers.

    Subclasses define the format of the weights.
    """

    options_class: type[WeightBitsOptions]
    options: WeightBitsOptions
    timing = ('quantize', 'finetune')
    export_formats: tuple[str, ...] = ('pfz', 'float32')
    reference_format = 'float32'

    @abc.abstractmethod
    def weight_format(self) -> WeightFormat:
        """The format of the weights, from the options."""

    def bucket(self) -> str | int:
        """The weights that share a grid or a code book, as for `WeightFormat`."""
        if not self.options.use_buckets:
            return 'layer'
        return self.options.bucket_size if self.options.bucket_type == 'split' else 'channel'

    def make_quantizer(self, layer: keras.layers.Layer, bits: int, max_bits: int | None = None) -> Quantizer:
        """A new quantizer for the kernel of a layer, whose width may later be increased up to `max_bits`."""
        return self.weight_format().quantizer(layer, bits, max_bits)

    def check_inputs(self) -> None:
        load_bits_plan(self.options, self.name)
        options = self.options
        if (
            options.searches
            and self.context.search.max_bytes is None
            and (options.equivalent_bits < options.min_searched_bits)
        ):
            raise UsageError(
                f'--{options.flag("equivalent_bits")}={options.equivalent_bits:g}: a mean of '
                f'{options.equivalent_bits:g} bits per weight is out of reach: from '
                f'{options.min_searched_bits} to {options.max_searched_bits} is reachable'
            )

    def check_layers(self, make_model: Callable[[], keras.Model]) -> None:
        model = make_model()
        layer_bits(model, skip_reasons(model, self.options), self.options, load_bits_plan(self.options, self.name))

    def explain_layers(self, model: keras.Model) -> dict[str, str]:
        reasons = skip_reasons(model, self.options)
        quantizable = {layer.name for layer in quantizable_layers(model)}
        others = {layer.name: f'{type(layer).__name__} is not quantized' for layer in model.layers}
        return {
            name: reasons.get(name, '' if name in quantizable else others[name]) for name in layers_with_kernels(model)
        }

    def num_images_read(self) -> int:
        return 0 if self.options.activation_bits == FULL_BITS else NUM_CALIBRATION_IMAGES

    def candidates(self, model: keras.Model) -> BitsCandidates:
        options = self.options
        names = layer_bits(model, skip_reasons(model, options), options, None)
        quantizers = {
            name: self.make_quantizer(model.get_layer(name), options.max_searched_bits, options.max_searched_bits)
            for name in names
        }
        images = self._calibration_images()
        ranges = {} if images is None else activation_ranges(model, images)
        quantized = quantized_copy(model, quantizers, options.activation_bits, ranges)
        return BitsCandidates(
            quantized,
            list(names),
            (options.min_searched_bits, options.max_searched_bits),
            options.equivalent_bits,
            self.context.search.max_bytes,
            self.trainer_parts(quantized, None),
        )

    def compress(self, model: keras.Model, found: Mapping[str, int] | None = None) -> Compressed:
        skipped = skip_reasons(model, self.options)
        if found is not None:
            wanted: CompressionPlan | None = CompressionPlan('bits', model.name, found)
        else:
            wanted = load_bits_plan(self.options, self.name)
        bits = layer_bits(model, skipped, self.options, wanted)
        result = quantize(
            model,
            bits,
            **dataclasses.asdict(self.weight_format()),
            activation_bits=self.options.activation_bits,
            images=self._calibration_images(),
        )
        rows = [self._with_bits(row, bits) for row in layer_rows(model, result.model, {}, skipped)]
        return Compressed(result.trainable, result.plan, tuple(rows))

    def finish(self, model: keras.Model, plan: CompressionPlan | None) -> Finished:
        """The plain model, whose kernels are the decoded values, with its encodings."""
        return Finished(*strip_quantization(model))

    def training_length(self) -> tuple[float, float]:
        """The pair's learning-rate schedule, scaled to the epochs in the options."""
        return (self.options.quant_epochs / self.helper.num_epochs, self.context.learner_options.rate_factor_finetune)

    def _calibration_images(self) -> np.ndarray | None:
        """Images for the calibration of activation ranges, if activations are quantized."""
        if self.options.activation_bits == FULL_BITS:
            return None
        return self.helper.training_images(NUM_CALIBRATION_IMAGES, self.context.seed)

    @staticmethod
    def _with_bits(row: Record, bits: Mapping[str, int]) -> Record:
        has_weights = any(row['parameters'])
        return {**row, 'bits': [FULL_BITS, bits.get(row['layer'], FULL_BITS)]} if has_weights else row
