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


def inputs_in_order(model: keras.Model, samples: Any) -> list[Any]:
    """The arrays of samples in the order of `model.inputs`; samples are as for `model_inputs`."""
    if isinstance(samples, Mapping):
        names = sorted(model.input) if isinstance(model.input, Mapping) else model.input_names
        return [samples[name] for name in names]
    return list(samples) if isinstance(samples, (tuple, list)) else [samples]
