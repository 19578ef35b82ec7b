"""Samples of models with one or several inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tf_keras as keras


def model_inputs(model: keras.Model, samples: Any) -> Any:
    """The symbolic inputs of a model, in the structure of its samples.

    Args:
      model: a functional model.
      samples: an array, or a dict or list of arrays or shapes; a dict has the names of the input layers.
    """
    if isinstance(samples, Mapping) and not isinstance(model.input, Mapping):
        return dict(zip(model.input_names, model.inputs, strict=True))
    return model.input


def names_in_order(tensors: Any, layer_names: list[str]) -> list[str]:
    """Names of a model's inputs or outputs in the order of `model.inputs` or `model.outputs`.

    Args:
      tensors: `model.input` or `model.output`; a dict has names of its own.
      layer_names: `model.input_names` or `model.output_names`.
    """
    return sorted(tensors) if isinstance(tensors, Mapping) else layer_names


def inputs_in_order(model: keras.Model, samples: Any) -> list[Any]:
    """The arrays of samples in the order of `model.inputs`; samples are as for `model_inputs`."""
    if isinstance(samples, Mapping):
        return [samples[name] for name in names_in_order(model.input, model.input_names)]
    return list(samples) if isinstance(samples, (tuple, list)) else [samples]
