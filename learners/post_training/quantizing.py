"""Python interface of post-training quantization: a function of a model and images, without flags."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tf_keras as keras
from absl import logging

from pocketflow.learners.post_training.allocation import Sensitivities, check_budget, measured, widths_within
from pocketflow.learners.post_training.equalization import equalize as equalize_pairs
from pocketflow.learners.post_training.folding import folded
from pocketflow.learners.post_training.lockstep import lockstep, most_images
from pocketflow.learners.post_training.observing import chosen_ranges, input_range
from pocketflow.learners.post_training.options import ADAROUND, CALIBRATIONS, MIXED, NEAREST, ROUNDINGS
from pocketflow.learners.post_training.rounding import Decisions, Rounding
from pocketflow.utils.compression_plan import CompressionPlan
from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph.arguments import check_choice, check_layers, checked_images, flat_model
from pocketflow.utils.graph.inputs import inputs_in_order
from pocketflow.utils.quantization.int8.placement import KERNELS
from pocketflow.utils.tasks.nests import Nest, num_samples, take

STORED_BITS = 8
SMALLEST_BITS = 2
DEFAULT_ITERATIONS = 2000
KeepCodes = Callable[[str, np.ndarray], None]


@dataclasses.dataclass(frozen=True)
class PostTraining:
    """A network as its int8 file computes it.

    Attributes:
      model: simulates the int8 arithmetic of the file, with kernels on their grids and ranges of activations;
        `pocketflow.export_tflite(model, folder, ['int8', 'mixed'], images)` writes exactly these. It can be trained
        further, with straight-through gradients.
      plan: of the kind 'bits': layer -> the width of its weights. A separable convolution is two layers.
      num_equalized: number of pairs of layers that were equalized.
      sensitivities: the measured errors, if widths were chosen by them.
    """

    model: keras.Model
    plan: CompressionPlan
    num_equalized: int = 0
    sensitivities: Sensitivities | None = None


def quantize_post_training(
    model: keras.Model,
    images: Nest,
    weight_bits: int | str | Mapping[str, int] = STORED_BITS,
    *,
    rounding: str | None = None,
    equalize: bool = False,
    bias_correction: bool = True,
    calibration: str = 'mse',
    num_iterations: int = DEFAULT_ITERATIONS,
    max_bytes: int | None = None,
    quantize_ends: bool = False,
    seed: int = 0,
    known_codes: Mapping[str, np.ndarray] | None = None,
    keep_codes: KeepCodes | None = None,
) -> PostTraining:
    """Quantizes weights and activations of a trained network in minutes, without labels and without training.

    Batch norms are folded; weights are rounded per output channel (dense layers: per layer), activations to 8 bits.

    >>> inputs = keras.Input((8,))
    >>> model = keras.Model(inputs, keras.layers.Dense(6, name='logits')(inputs))
    >>> quantize_post_training(model, np.eye(8, dtype=np.float32)).plan.values
    {'logits': 8}

    Args:
      model: a functional or sequential tf_keras model; it is not modified.
      images: samples without labels, `[N, ...]`, preprocessed for the model: some hundred from the training set.
      weight_bits: 8, or 4, where the first and the last layer keep 8; 'mixed': 4 or 8 in each layer, those with the
        least sum of measured errors within `max_bytes`; or layer -> 2 to 8, where others have 8.
      rounding: 'nearest', or 'adaround' (Nagel et al. 2020, https://arxiv.org/abs/2004.10568); default: 'adaround' if
        any layer has fewer than 8 bits.
      equalize: equalize the ranges of channels across layers (Nagel et al. 2019, https://arxiv.org/abs/1906.04721).
      bias_correction: change biases such that the mean output of each layer stays (the same paper, section 4.2).
      calibration: choice of the ranges of activations: 'minmax', 'percentile', or 'mse', the least squared error.
      num_iterations: steps of adaround per layer.
      max_bytes: of the file of the format 'mixed', for `weight_bits='mixed'`.
      quantize_ends: whether the first and the last layer may have fewer than 8 bits, too.
      seed: of the positions at which layers are reconstructed.
      known_codes: the codes of an interrupted call, by layer.
      keep_codes: called with the name and the codes of each further layer.

    Raises:
      UsageError: the model is not supported, an argument is invalid, or the budget is out of reach.
    """
    model = flat_model(model)
    images = checked_images(model, images)
    check_choice('calibration', calibration, CALIBRATIONS)
    if rounding is not None:
        check_choice('rounding', rounding, ROUNDINGS)
    plain = folded(model)
    num_equalized = equalize_pairs(plain, images) if equalize else 0
    chosen = Rounding(rounding or NEAREST, num_iterations, bias_correction, seed)
    whole = functools.partial(_rounded, plain, images, calibration=calibration)
    widths, sensitivities = _widths(
        plain,
        images,
        lambda bits: whole(bits, rounding=dataclasses.replace(chosen, method=NEAREST)),
        weight_bits,
        max_bytes,
        quantize_ends,
    )
    if rounding is None and min(widths.values(), default=STORED_BITS) < STORED_BITS:
        chosen = dataclasses.replace(chosen, method=ADAROUND)
    rounded = whole(widths, rounding=chosen, known_codes=known_codes, keep_codes=keep_codes)
    return PostTraining(rounded, CompressionPlan('bits', model.name, widths), num_equalized, sensitivities)


def _rounded(
    plain: keras.Model,
    images: Nest,
    widths: Mapping[str, int],
    calibration: str,
    rounding: Rounding,
    known_codes: Mapping[str, np.ndarray] | None = None,
    keep_codes: KeepCodes | None = None,
) -> keras.Model:
    """The model that simulates the file, with the weights that are chosen layer by layer."""
    rounded = simulation(plain, images, widths, calibration)
    decisions = Decisions(plain, rounding, known_codes, keep_codes or (lambda name, codes: None))
    lockstep(plain, rounded, inputs_in_order(plain, _fewer(plain, images)), decisions)
    return rounded


def simulation(plain: keras.Model, images: Nest, widths: Mapping[str, int], calibration: str) -> keras.Model:
    """The model that simulates the file, with weights rounded to the nearest."""
    from pocketflow.utils.quantization.int8.wrapping import Settings, quantization_aware

    return quantization_aware(plain, images, Settings(widths), _Chosen(calibration))


def layers_with_widths(plain: keras.Model) -> list[str]:
    """The layers whose weights are rounded, in order."""
    return [layer.name for layer in plain.layers if type(layer) in KERNELS]


def narrow_layers(plain: keras.Model, quantize_ends: bool) -> list[str]:
    """The layers that may have fewer than 8 bits: all but the first and the last, which are the most sensitive ones.

    Raises:
      UsageError: there is none.
    """
    names = layers_with_widths(plain)
    narrow = names if quantize_ends else names[1:-1]
    if not narrow:
        raise UsageError(
            f'model {plain.name!r} has no layer with weights between its first and its last, which keep 8 bits; give 8 '
            'bits for all, or let these have fewer, too'
        )
    return narrow


@dataclasses.dataclass(frozen=True)
class _Chosen:
    """Chooses ranges by one of the methods of `ranges.METHODS`."""

    method: str

    def of_outputs(self, model: keras.Model, names: Sequence[str], images: Nest) -> dict[str, tuple[float, float]]:
        return chosen_ranges(model, names, images, self.method)

    def of_input(self, images: np.ndarray) -> tuple[float, float]:
        return input_range(images, self.method)


def _widths(
    plain: keras.Model,
    images: Nest,
    simulated: Callable[[Mapping[str, int]], keras.Model],
    bits: int | str | Mapping[str, int],
    max_bytes: int | None,
    quantize_ends: bool,
) -> tuple[dict[str, int], Sensitivities | None]:
    """Layer -> the bits of its weights; and the sensitivities that they were chosen by."""
    widths = dict.fromkeys(layers_with_widths(plain), STORED_BITS)
    if bits == MIXED:
        if max_bytes is None:
            raise UsageError("weight_bits='mixed': give the size of the file by max_bytes, too")
        names = narrow_layers(plain, quantize_ends)
        check_budget(plain, names, max_bytes)
        sensitivities = measured(plain, names, images)
        return {**widths, **widths_within(plain, sensitivities, lambda: simulated(widths), max_bytes)}, sensitivities
    if max_bytes is not None:
        raise UsageError(f"max_bytes={max_bytes}: only weight_bits='mixed' chooses widths by it; drop one of the two")
    chosen: dict[str, object] = {}
    if isinstance(bits, Mapping):
        check_layers([*bits], widths, 'quantized')
        chosen |= bits
    elif bits != STORED_BITS:
        chosen |= dict.fromkeys(narrow_layers(plain, quantize_ends), bits)
    for name, width in chosen.items():
        if not isinstance(width, int) or not SMALLEST_BITS <= width <= STORED_BITS:
            raise UsageError(f'weight_bits={width!r}: give {SMALLEST_BITS} to {STORED_BITS}, or {MIXED!r}')
        widths[name] = width
    return widths, None


def _fewer(plain: keras.Model, images: Nest) -> Nest:
    """As many of the images as fit into memory with the tensors between the layers."""
    most = most_images(plain)
    if most < num_samples(images):
        logging.info('layers are rounded by %d of the %d images, as fit into memory', most, num_samples(images))
    return take(images, slice(most))
