"""Python interface of weight quantization: functions of models and arrays, without flags or run directories."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import tf_keras as keras

from pocketflow.utils.compression_plan import CompressionPlan
from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph.arguments import check_choice, check_layers, checked_images, flat_model
from pocketflow.utils.quantization.encoding import Buckets, Encoding, kernel_name, known_kernel_name
from pocketflow.utils.quantization.limits import (
    CODEBOOK_STYLES,
    FULL_BITS,
    MAX_CODEBOOK_BITS,
    MAX_WEIGHT_BITS,
    SYMMETRIC_BITS,
)
from pocketflow.utils.quantization.models import (
    activation_ranges,
    quantizable_layers,
    quantized_copy,
    strip_quantization,
)
from pocketflow.utils.quantization.quantizers import BucketQuantizer, CodebookQuantizer, Quantizer

METHODS = ('uniform', 'codebook')
BUCKETS = ('layer', 'channel')


@dataclasses.dataclass(frozen=True)
class WeightFormat:
    """Number format of quantized weights.

    Attributes:
      method: 'uniform', evenly spaced values between the least and the greatest weight of a bucket; or 'codebook',
        values found by k-means.
      bucket: the weights that share a grid or a code book: those of a 'layer', of an output 'channel', or a number of
        consecutive weights.
      symmetric: for 'uniform', grids with zero in the middle, one per output channel, as in `.tflite` files.
      start: for 'codebook', the initial entries of k-means: quantiles ('quantile') or evenly spaced ('uniform').

    Raises:
      UsageError: a value is invalid, or values contradict each other.
    """

    method: str = 'uniform'
    bucket: str | int = 'layer'
    symmetric: bool = False
    start: str = 'quantile'

    def __post_init__(self) -> None:
        check_choice('method', self.method, METHODS)
        check_choice('start', self.start, CODEBOOK_STYLES)
        is_size = isinstance(self.bucket, int) and not isinstance(self.bucket, bool)
        is_large = isinstance(self.bucket, int) and is_size and self.bucket >= 2
        if not is_large and self.bucket not in BUCKETS:
            raise UsageError(f'bucket={self.bucket!r}: give layer, channel, or a number of weights from 2 on')
        if self.symmetric and self.method != 'uniform':
            raise UsageError(f'symmetric=True: code books have no grid; drop it, or method={self.method!r}')
        if self.symmetric and is_size:
            raise UsageError(f'bucket={self.bucket}: symmetric grids are one per output channel; drop one of the two')

    @property
    def bits_range(self) -> tuple[int, int]:
        """The least and the greatest accepted number of bits."""
        if self.symmetric:
            return SYMMETRIC_BITS
        return 1, MAX_CODEBOOK_BITS if self.method == 'codebook' else MAX_WEIGHT_BITS

    def quantizer(self, layer: keras.layers.Layer, bits: int, max_bits: int | None = None) -> Quantizer:
        """A new quantizer for the kernel of a layer, whose width may later be increased up to `max_bits`."""
        buckets = self._buckets(layer)
        if self.method == 'codebook':
            return CodebookQuantizer(bits, buckets, self.start, max_bits)
        return BucketQuantizer(bits, buckets, self.symmetric)

    def _buckets(self, layer: keras.layers.Layer) -> Buckets:
        if self.bucket == 'channel' or self.symmetric:
            return Buckets('channel', num_channel_axes=2 if kernel_name(layer) == 'depthwise_kernel' else 1)
        if not isinstance(self.bucket, int):
            return Buckets()
        return Buckets('split', min(self.bucket, int(np.prod(getattr(layer, known_kernel_name(layer)).shape))))


@dataclasses.dataclass(frozen=True)
class Quantized:
    """A model with quantized weights.

    Attributes:
      model: of plain layers, not compiled; its kernels are the decoded values. It computes in float32, so that its size
        in memory and its speed are those of the original; a container stores it in fewer bytes.
      encodings: layer -> the codes of its kernel, for `pocketflow.save_container(model, encodings, path)`.
      plan: of the kind 'bits': layer -> the width of its weights.
      trainable: the same model with fake-quantization layers, to be compiled and trained; gradients are
        straight-through (Bengio et al. 2013, https://arxiv.org/abs/1308.3432).
    """

    model: keras.Model
    encodings: Mapping[str, Encoding]
    plan: CompressionPlan
    trainable: keras.Model

    def after_training(self) -> Quantized:
        """Quantizes the current weights of `trainable`, in the same format."""
        return dataclasses.replace(self, **_plain(self.trainable))


def quantize(
    model: keras.Model,
    bits: int | Mapping[str, int] = 4,
    method: str = 'uniform',
    *,
    bucket: str | int = 'layer',
    symmetric: bool = False,
    start: str = 'quantile',
    layers: Collection[str] | None = None,
    activation_bits: int = FULL_BITS,
    images: np.ndarray | None = None,
) -> Quantized:
    """Rounds the kernels of Conv2D, DepthwiseConv2D and Dense layers to 2^bits values.

    'uniform': Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
    Inference", https://arxiv.org/abs/1712.05877, equation (12), over the range of a bucket. 'codebook': Han, Mao and
    Dally 2016, "Deep Compression", https://arxiv.org/abs/1510.00149, section 3.

    Below about six bits, training is needed to recover accuracy: compile and `fit` `trainable`, then call
    `after_training()`.

    >>> inputs = keras.Input((8,))
    >>> model = keras.Model(inputs, keras.layers.Dense(6, name='logits')(inputs))
    >>> quantized = quantize(model, bits=2, layers=['logits'])
    >>> len(np.unique(quantized.model.get_layer('logits').kernel)), quantized.plan.values
    (4, {'logits': 2})

    Args:
      model: a functional or sequential tf_keras model; it is not modified.
      bits: per weight, 1 to 16 ('codebook' 1 to 8, symmetric 2 to 8) for all layers; or layer -> its width, where 32
        means not quantized.
      method, bucket, symmetric, start: see `WeightFormat`.
      layers: names of the layers that are quantized; default: those in `bits`, or all quantizable layers except the
        first and the last, which are the most sensitive ones.
      activation_bits: 2 to 32 for the outputs of ReLU, ReLU6, tanh, sigmoid and softplus; 32 means not quantized. With
        fewer, `model` has layers that quantize activations.
      images: samples without labels, `[N, ...]`, preprocessed for the model, on which the ranges of activations are
        calibrated; required for fewer than 32 bits.

    Raises:
      UsageError: the model is not supported, or an argument is invalid.
    """
    model = flat_model(model)
    weight_format = WeightFormat(method, bucket, symmetric, start)
    widths = layer_widths(model, bits, layers, weight_format.bits_range)
    if isinstance(activation_bits, bool) or not 2 <= activation_bits <= FULL_BITS:
        raise UsageError(f'activation_bits={activation_bits}: give 2 to {FULL_BITS}')
    if activation_bits < FULL_BITS and images is None:
        raise UsageError(f'activation_bits={activation_bits}: give images too, from which ranges are taken')
    ranges = activation_ranges(model, checked_images(model, images)) if activation_bits < FULL_BITS else {}
    quantizers = {name: weight_format.quantizer(model.get_layer(name), width) for name, width in widths.items()}
    trainable = quantized_copy(model, quantizers, activation_bits, ranges)
    plan = CompressionPlan('bits', model.name, widths, predicted={'mean_bits': mean_bits(model, widths)})
    return Quantized(**_plain(trainable), plan=plan, trainable=trainable)


def layer_widths(
    model: keras.Model, bits: int | Mapping[str, int], layers: Collection[str] | None, accepted: tuple[int, int]
) -> dict[str, int]:
    """The quantized layers, in order -> the bits of their weights.

    Args:
      model: a functional model.
      bits, layers: as for `quantize`.
      accepted: the least and the greatest accepted number of bits.

    Raises:
      UsageError: a width is not accepted, a layer cannot be quantized, or no layer remains.
    """
    names = [layer.name for layer in quantizable_layers(model)]
    check_layers([] if layers is None else layers, names, 'quantized')
    if isinstance(bits, Mapping):
        check_layers([*bits], names if layers is None else layers, 'quantized')
        widths = {name: bits[name] for name in names if bits.get(name, FULL_BITS) != FULL_BITS}
    else:
        _check_width(bits, accepted)
        chosen = names[1:-1] if layers is None else layers
        widths = {name: bits for name in names if name in chosen}
    for width in widths.values():
        _check_width(width, accepted)
    if not widths:
        raise UsageError(
            f'no layer of model {model.name!r} is left to quantize: the first and the last are excluded by default; '
            f'give layers, of: {", ".join(names) or "none"}'
        )
    return widths


def _check_width(width: int, accepted: tuple[int, int]) -> None:
    is_whole = isinstance(width, (int, np.integer)) and not isinstance(width, bool)
    if not (is_whole and accepted[0] <= width <= accepted[1]):
        raise UsageError(f'bits={width!r}: with these settings, give {accepted[0]} to {accepted[1]}')


def mean_bits(model: keras.Model, bits: Mapping[str, int]) -> float:
    """Mean bits per weight over the kernels of these layers."""
    sizes = {name: model.get_layer(name).count_params() for name in bits}
    return float(sum(bits[name] * size for name, size in sizes.items()) / sum(sizes.values()))


def _plain(trainable: keras.Model) -> dict[str, Any]:
    model, encodings = strip_quantization(trainable)
    return {'model': model, 'encodings': encodings}
