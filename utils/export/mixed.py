"""Files with weights of a different width in each layer: int4, int8 or float32, by a bits plan."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Mapping, Sequence

import numpy as np
from absl import logging

from pocketflow.utils.errors import PocketFlowError, first_line
from pocketflow.utils.export.weights import CHANNEL_AXES, WeightedOperator, Weights
from pocketflow.utils.quantization.encoding import largest_symmetric_code
from pocketflow.utils.system.quiet import quiet_native_output

ACTIVATIONS = ('int8', 'float32')
SMALLEST_BITS, LARGEST_BITS = 2, 8
"""The supported widths of symmetric weights; weights of more bits stay float32."""

DEPTHWISE = 'DEPTHWISE_CONV_2D'
"""Always computed in float: XNNPACK does not support it with inputs quantized at run time; a slow kernel is used."""

ON_GRID = 1e-3
"""Tolerance, in steps, within which float32 weights are on a grid: the converter rescales them after quantization."""


@dataclasses.dataclass(frozen=True)
class _Change:
    """New width of the weights of an operation, in bits; at most `LARGEST_BITS`."""

    layer: str
    operator: WeightedOperator
    width: int


def mixed_precision(content: bytes, bits: Mapping[str, int], activations: str = 'int8') -> bytes:
    """The same network with the weights of the named layers stored as integers.

    Weights of at most 4 bits become int4, those of 5 to 8 bits int8, with one scale per output channel; those of more
    bits, biases and layers that are not named stay float32. The codes of a k-bit layer are within
    `-(2^(k-1) - 1) .. 2^(k-1) - 1` (see `symmetric_grid`): weights on a symmetric grid of k bits or fewer keep their
    values (to float32 rounding), even if a folded batch norm has scaled the channels. Depthwise convolutions get int8
    instead of int4, which LiteRT does not support for them, and always compute in float32.

    Weights of 4 bits or fewer may be stored with 8 bits: the values are the same, in twice the bytes, and LiteRT
    multiplies them faster in convolutions (see docs/deploy.md).

    Args:
      content: a float32 file, as returned by `convert(model, 'float32')`.
      bits: width of the weights by name of the Keras layer (Conv2D, DepthwiseConv2D, Dense), 2 or more.
      activations: the arithmetic. 'int8': the inputs of layers are quantized at run time, with a separate range for
        each sample, and multiplied as integers. 'float32': the weights are dequantized and the arithmetic is that of
        the float32 file; exact, but very slow for int4 convolutions.

    Raises:
      PocketFlowError: a layer has no weights of its own in the file, or fewer than 2 bits; or the quantizer fails.
    """
    if activations not in ACTIVATIONS:
        raise ValueError(f'activations in {activations!r}; known: {", ".join(ACTIVATIONS)}')
    weights = Weights(content)
    changes = [change for layer, width in bits.items() for change in _changes(weights, layer, width)]
    if not changes:
        return content
    result = _with_integer_types(content, changes, activations)
    _write_grids(weights, Weights(result), changes)
    return bytes(result)


def symmetric_grid(weights: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """The codes and scales of a symmetric `bits`-bit grid per channel: weights = codes * scales.

    The largest weight of a channel gets the code `top = 2^(bits-1) - 1`, and all are rounded to multiples of the step
    `largest / top`. If all weights of a channel are already multiples of a coarser step `largest / q`, q < top (as
    when its grid is shared by several channels, or has fewer bits), the step with the greatest such q is used, so that
    nothing is rounded.

    Args:
      weights: float32 [channels, elements].
      bits: 2..8.

    Returns:
      int8 codes [channels, elements] and float32 scales [channels]; a channel of zeros has the scale 1.
    """
    top = largest_symmetric_code(bits)
    largest = np.abs(weights).max(1)
    normed = weights / np.where(largest > 0, largest, 1)[:, np.newaxis]
    steps = np.full(len(weights), top)
    open_channels = np.arange(len(weights))
    for num_steps in range(top, 0, -1):
        multiples = normed[open_channels] * np.float32(num_steps)
        fits = np.abs(multiples - np.rint(multiples)).max(1) < ON_GRID
        steps[open_channels[fits]] = num_steps
        open_channels = open_channels[~fits]
        if not len(open_channels):
            break
    codes = np.rint(normed * steps[:, np.newaxis]).astype(np.int8)
    return codes, np.where(largest > 0, largest / steps, 1).astype(np.float32)


def _changes(weights: Weights, layer: str, width: int) -> list[_Change]:
    """The changes of the operations of a layer, one for each call of the layer."""
    if width < SMALLEST_BITS:
        raise PocketFlowError(
            f'layer {layer!r} has weights of {width} bits; a .tflite file holds symmetric weights '
            f'of {SMALLEST_BITS} to {LARGEST_BITS} bits, wider ones as float32'
        )
    found = [operator for operator in weights.operators() if layer in operator.layers]
    if not found:
        raise PocketFlowError(
            f'layer {layer!r} cannot be found in the .tflite file: no convolution or fully connected '
            'operation is named after it; leave it out of the bits plan'
        )
    if any(weights.type_of(operator) != 'FLOAT32' for operator in found):
        raise PocketFlowError(
            f'the weights of layer {layer!r} are not float32 in the .tflite file; give the file of the format float32'
        )
    return [_Change(layer, operator, width) for operator in found] if width <= LARGEST_BITS else []


def _storage_bits(change: _Change) -> int:
    if change.width <= 4 and change.operator.kind == DEPTHWISE:
        logging.info(
            'layer %s: LiteRT has no int4 for depthwise convolutions, the %d-bit weights are stored as int8',
            change.layer,
            change.width,
        )
        return 8
    return 4 if change.width <= 4 else 8


def _with_integer_types(content: bytes, changes: Sequence[_Change], activations: str) -> bytearray:
    """The file with int4 or int8 weights in the changed operations, on the grids of the quantizer."""
    storage_bits = {change.operator: _storage_bits(change) for change in changes}
    try:
        with quiet_native_output(), contextlib.redirect_stdout(None):
            from ai_edge_quantizer import qtyping, quantizer

            target = quantizer.Quantizer(bytearray(content))
            for operator, bits in storage_bits.items():
                in_float = activations == 'float32' or operator.kind == DEPTHWISE
                add = target.add_weight_only_config if in_float else target.add_dynamic_config
                add(_only(operator.name), qtyping.TFLOperationName(operator.kind), bits)
            return bytearray(target.quantize().quantized_model)
    except Exception as error:  # the quantizer does not document its exceptions
        raise PocketFlowError(f'the weights of the .tflite file cannot be quantized: {first_line(error)}') from error


def _only(name: str) -> str:
    """A pattern for one operation, which the quantizer identifies by the name of its output and a semicolon."""
    return f'^{re.escape(name)};?$'


def _write_grids(source: Weights, target: Weights, changes: Sequence[_Change]) -> None:
    """Replaces the quantizer's grids, which have 4 or 8 bits, with those of `symmetric_grid`."""
    written = {operator.name: operator for operator in target.operators()}
    rounded = []
    for change in changes:
        axis = CHANNEL_AXES[change.operator.kind]
        values = np.moveaxis(source.read(change.operator), axis, 0)
        codes, scales = symmetric_grid(values.reshape(len(values), -1), change.width)
        target.write(written[change.operator.name], np.moveaxis(codes.reshape(values.shape), 0, axis), scales)
        if not np.allclose(codes * scales[:, np.newaxis], values.reshape(codes.shape), rtol=1e-4, atol=0):
            rounded.append(change.layer)
    if rounded:  # weights that were trained on the grids of the plan are not rounded
        logging.info(
            '%d of %d layers had weights on no symmetric grid of their width, which were rounded: %s',
            len(rounded),
            len(changes),
            ', '.join(rounded),
        )
