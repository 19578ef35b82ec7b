"""Networks of which the learners for int8 files cannot make one; shared by these learners."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import tf_keras as keras

from pocketflow.learners.forecast import layers_with_kernels
from pocketflow.utils.errors import PocketFlowError, UsageError, first_line
from pocketflow.utils.export.isolated import isolated_conversions
from pocketflow.utils.graph.channel_select import ChannelSelect
from pocketflow.utils.quantization.int8.placement import KERNELS

_k = keras.layers
USUAL = (
    ChannelSelect,
    _k.Activation,
    _k.Add,
    _k.AveragePooling2D,
    _k.BatchNormalization,
    _k.Concatenate,
    _k.Conv2D,
    _k.Dense,
    _k.DepthwiseConv2D,
    _k.Dropout,
    _k.Flatten,
    _k.GlobalAveragePooling2D,
    _k.GlobalMaxPooling2D,
    _k.InputLayer,
    _k.MaxPooling2D,
    _k.Multiply,
    _k.ReLU,
    _k.Reshape,
    _k.SeparableConv2D,
    _k.Softmax,
    _k.ZeroPadding2D,
)
"""Layer types that are known to work; networks with other types are tested by a conversion."""


def check_network(model: keras.Model, learner: str) -> None:
    """Rejects a network whose int8 arithmetic cannot be simulated, or not converted afterwards.

    A network with other than the known layer types is wrapped, converted and run untrained, which takes some seconds.

    Args:
      model: the network.
      learner: its name, for the message.

    Raises:
      UsageError: with the names of the layers of other types.
    """
    from pocketflow.utils.quantization.int8.prepare import check_layers  # loads TensorFlow Model Optimization
    from pocketflow.utils.quantization.int8.wrapping import quantization_aware, strip_quantization

    check_layers(model)
    unusual = [f'{layer.name} ({type(layer).__name__})' for layer in model.layers if not _is_usual(layer)]
    if not unusual:
        return
    rng = np.random.default_rng(0)
    samples = [rng.normal(size=(2, *tensor.shape[1:])).astype(np.float32) for tensor in model.inputs]
    try:
        wrapped = quantization_aware(model, samples)
        strip_quantization(wrapped)
        with tempfile.TemporaryDirectory() as folder, isolated_conversions(Path(folder), samples) as conversions:
            conversions.try_out('int8', conversions.convert(wrapped, 'int8'))
    except UsageError:
        raise
    except Exception as error:  # wrapping and conversion raise various types
        kind = '' if isinstance(error, PocketFlowError) else f'{type(error).__name__}: '
        raise UsageError(
            f'--learner={learner} cannot make an int8 file of this network, which has layers of unusual '
            f'kinds: {", ".join(unusual)}; replace them, or choose another learner with '
            f'--export_formats=int8 or dynamic ({kind}{first_line(error)})'
        ) from error


def unquantized_layers(model: keras.Model) -> dict[str, str]:
    """Each layer with a kernel -> the reason why its weights stay in float in an int8 file; '' for int8."""
    from pocketflow.utils.quantization.int8.prepare import IN_FLOAT

    return {name: _reason(model.get_layer(name), IN_FLOAT) for name in layers_with_kernels(model)}


def _reason(layer: keras.layers.Layer, in_float: tuple[type, ...]) -> str:
    if isinstance(layer, in_float):
        return f'int8 arithmetic of {type(layer).__name__} cannot be simulated'
    has_int8_kernel = type(layer) in KERNELS or type(layer) is _k.SeparableConv2D
    return '' if has_int8_kernel else f'weights stay in float: int8 is not simulated for {type(layer).__name__}'


def _is_usual(layer: keras.layers.Layer) -> bool:
    if isinstance(layer, keras.layers.BatchNormalization) and list(layer.axis) != [layer.input_spec.ndim - 1]:
        return False
    return type(layer) in USUAL
