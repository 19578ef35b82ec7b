"""Converts trained models to quantization-aware ones, and back."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.graph import Call, rebuild, refresh_derived_values
from pocketflow.utils.graph.inputs import inputs_in_order
from pocketflow.utils.quantization.int8.calibration import BATCH_SIZE, observed_ranges
from pocketflow.utils.quantization.int8.inspect import is_wrapped, unwrapped
from pocketflow.utils.quantization.int8.placement import Place, norms_without_kernel, places
from pocketflow.utils.quantization.int8.prepare import prepare
from pocketflow.utils.quantization.int8.reach import Range, possible_ranges
from pocketflow.utils.quantization.int8.wrappers import (
    STORED_BITS,
    FreezingBatchNormalization,
    InputQuantization,
    QuantizedLayer,
    Simulation,
)
from pocketflow.utils.tasks.nests import Nest


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the simulation of quantization.

    Attributes:
      weight_bits: width of all kernels, or layer -> that of its kernel, where others have 8 bits.
      activation_bits: width of activations.
      quant_delay: training steps before values are rounded in training.
      freeze_norm_delay: training steps before batch norms are frozen; `None`: never.
    """

    weight_bits: int | Mapping[str, int] = 8
    activation_bits: int = 8
    quant_delay: int = 0
    freeze_norm_delay: int | None = None

    def bits_of(self, layer: str) -> int:
        """The width of the kernel of a layer."""
        bits = self.weight_bits
        return bits.get(layer, STORED_BITS) if isinstance(bits, Mapping) else bits


class Calibration(Protocol):
    """Chooses ranges (low, high), which include zero."""

    def of_outputs(self, model: keras.Model, names: Sequence[str], images: Nest) -> dict[str, tuple[float, float]]:
        """The ranges of the outputs of layers, by name."""

    def of_input(self, images: np.ndarray) -> tuple[float, float]:
        """The range of an input `[N, ...]`."""


class BatchMeans:
    """The mean extremes of batches, as in training."""

    def of_outputs(self, model: keras.Model, names: Sequence[str], images: Nest) -> dict[str, tuple[float, float]]:
        return observed_ranges(model, names, images)

    def of_input(self, images: np.ndarray) -> tuple[float, float]:
        batches = [images[start : start + BATCH_SIZE] for start in range(0, len(images), BATCH_SIZE)]
        low, high = (
            float(np.mean([choose(batch.min(), batch.max(), 0.0) for batch in batches])) for choose in (min, max)
        )
        return low, high


def quantization_aware(
    model: keras.Model, images: Nest, settings: Settings = Settings(), calibration: Calibration | None = None
) -> keras.Model:
    """A copy of a trained model that rounds kernels and activations as in its int8 file.

    Args:
      model: a functional model of plain layers and channel selects.
      images: training inputs `[N, ...]` (float32), on which activation ranges are calibrated; several inputs are a dict
        or tuple of arrays.
      settings: widths and delays.
      calibration: chooses the ranges; default: `BatchMeans`.

    Returns:
      A functional model with the same layer names. In inference it rounds regardless of delays.

    Raises:
      UsageError: the model is not functional.
    """
    prepared, calibration = prepare(model), calibration or BatchMeans()
    where = {**dict.fromkeys(norms_without_kernel(prepared), Place(None, output=False)), **places(prepared)}
    names = [name for name, place in where.items() if place.output and not place.fixed]
    arrays = inputs_in_order(prepared, images)
    of_inputs = {
        name: _possible_input(*calibration.of_input(array))
        for name, array in zip(prepared.input_names, arrays, strict=True)
    }
    low, high = min(low for low, _ in of_inputs.values()), max(high for _, high in of_inputs.values())
    ranges = possible_ranges(prepared, where, calibration.of_outputs(prepared, names, images), max(-low, high))
    wrapping = _Wrapping(where, ranges, settings)
    result = rebuild(prepared, wrapping.edit)
    for layer in result.layers:
        if is_wrapped(layer) and layer.simulation.output and not layer.simulation.fixed:
            name = wrapping.rounded_after.get(layer.name, layer.name)
            known = ranges[name][:2] if name in ranges else of_inputs.get(wrapping.input_of.get(name, ''), (low, high))
            layer.set_range(*known)
    copy_weights(prepared, result)
    return result


def _possible_input(low: float, high: float) -> tuple[float, float]:
    return (low, high) if high > low else (0.0, 1.0)


class _Wrapping:
    """Adds wrappers around layers, and separate rounding layers behind inputs and layers that cannot be wrapped.

    A wrapper calls its layer with one argument. Operators with numbers or slices (`x * 0.5`, `x[..., :8]`) and
    attention take several, so their outputs are rounded by a separate layer.
    """

    def __init__(self, where: Mapping[str, Place], ranges: Mapping[str, Range], settings: Settings):
        self._where, self._ranges, self._settings = where, ranges, settings
        self.rounded_after: dict[str, str] = {}
        """Name of a separate rounding layer -> the layer whose output it rounds."""
        self.input_of: dict[str, str] = {}
        """Name of a rounding layer behind an input -> the input layer."""
        self._inputs: dict[int, Any] = {}

    def edit(self, layer: keras.layers.Layer, copy: keras.layers.Layer) -> Call:
        if type(copy) is keras.layers.BatchNormalization and self._settings.freeze_norm_delay is not None:
            copy = FreezingBatchNormalization(self._settings.freeze_norm_delay, **copy.get_config())
        place = self._where.get(layer.name)
        if place is None:
            call = copy
        elif place.kernel or _takes_one_argument(layer):
            call = self._wrapped(copy, place, self._least(layer))
        else:
            call = self._rounded_after(copy, place)
        return lambda *args, **kwargs: call(*tf.nest.map_structure(self._rounded_input, args), **kwargs)

    def _least(self, layer: keras.layers.Layer) -> float:
        return self._ranges[layer.name].least if layer.name in self._ranges else 0.0

    def _rounded_after(self, layer: keras.layers.Layer, place: Place) -> Call:
        rounding = self._wrapped(InputQuantization(name=f'{layer.name}_rounded'), place, self._least(layer))
        self.rounded_after[rounding.name] = layer.name
        return lambda *args, **kwargs: rounding(layer(*args, **kwargs))

    def _rounded_input(self, tensor: Any) -> Any:
        """The rounded tensor, if it is an input of the model; it is rounded once for all its readers."""
        if not hasattr(tensor, '_keras_history'):
            return tensor
        layer = tensor._keras_history.layer
        if not isinstance(layer, keras.layers.InputLayer):
            return tensor
        if id(tensor) not in self._inputs:
            wrapper = self._wrapped(InputQuantization(name=f'{layer.name}_quantized'), Place(None, output=True))
            self._inputs[id(tensor)] = wrapper(tensor)
            self.input_of[wrapper.name] = layer.name
        return self._inputs[id(tensor)]

    def _wrapped(self, layer: keras.layers.Layer, place: Place, least: float = 0.0) -> QuantizedLayer:
        return QuantizedLayer(
            layer,
            Simulation(
                **dataclasses.asdict(place),
                least=least,
                weight_bits=self._settings.bits_of(layer.name),
                activation_bits=self._settings.activation_bits,
                delay=self._settings.quant_delay,
            ),
        )


def _takes_one_argument(layer: keras.layers.Layer) -> bool:
    return all(len(node.call_args) == 1 and node.call_kwargs.keys() <= {'training'} for node in layer.inbound_nodes)


def only_rounds(layer: keras.layers.Layer) -> bool:
    """Whether the layer only rounds an input of the model, or the output of a layer of several arguments."""
    return isinstance(unwrapped(layer), InputQuantization)


def strip_quantization(model: keras.Model) -> keras.Model:
    """Converts a quantization-aware model to a plain one: the same layers, rounded kernels, float activations."""

    def edit(layer: keras.layers.Layer, copy: keras.layers.Layer) -> Call:
        if only_rounds(layer):
            return lambda inputs: inputs
        inner = unwrapped(copy)
        return plain_norm(inner) if isinstance(inner, FreezingBatchNormalization) else inner

    result = rebuild(model, edit)
    copy_weights(model, result)
    for layer in model.layers:
        if is_wrapped(layer) and layer.simulation.kernel:
            getattr(result.get_layer(layer.name), layer.simulation.kernel).assign(layer.rounded_kernel())
    return result


def plain_norm(layer: keras.layers.Layer) -> keras.layers.BatchNormalization:
    """An unbuilt plain batch norm of the same configuration."""
    config = layer.get_config()
    config.pop('delay')
    return keras.layers.BatchNormalization.from_config(config)


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copies weights by names of layer and variable; layers may be wrapped, unwrapped or replaced in the target."""
    origins = {layer.name: layer for layer in source.layers}
    for layer in target.layers:
        origin = origins.get(layer.name)
        if origin is not None and (is_wrapped(layer) or type(layer) is not type(origin)):
            _copy_layer_weights(origin, layer)
    refresh_derived_values(target)


def _copy_layer_weights(source: keras.layers.Layer, target: keras.layers.Layer) -> None:
    values = defaultdict(list)
    for variable in source.weights:
        values[_own_name(variable)].append(variable)
    for variable in target.weights:
        if values[_own_name(variable)]:
            variable.assign(values[_own_name(variable)].pop(0))


def _own_name(variable: tf.Variable) -> str:
    """`kernel` for the variable `conv/kernel:0`."""
    return str(variable.name).split('/')[-1].split(':')[0]
