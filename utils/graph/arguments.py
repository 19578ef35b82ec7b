"""Validation of the arguments of the Python interface: models, arrays, names and shares."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph.standard_form import standard_form


def flat_model(model: keras.Model) -> keras.Model:
    """The model as one flat functional graph: the model itself if it is one; the outputs are unchanged.

    Args:
      model: a functional or built sequential model of tf_keras, possibly with models among its layers.

    Raises:
      UsageError: it is not a tf_keras model, is a subclassed one, or has several inputs.
    """
    flat = standard_form(model, wants_logits=False).model
    if len(flat.inputs) != 1:
        raise UsageError(f'model {flat.name!r} has {len(flat.inputs)} inputs; only models with one can be compressed')
    return flat


def checked_images(model: keras.Model, images: Any) -> np.ndarray:
    """Converts samples to a float32 array `[N, ...]` for a model.

    Args:
      model: a model with one input.
      images: array of numbers `[N, ...]`, N >= 1, preprocessed for the model.

    Raises:
      UsageError: their shape does not fit, or they are empty, not numbers, or not finite.
    """
    expected = tuple(model.inputs[0].shape[1:])
    try:
        array = np.asarray(images, np.float32)
    except (TypeError, ValueError) as error:
        raise UsageError(f'images are {type(images).__name__}, not an array of numbers {(None, *expected)}') from error
    if array.ndim != len(expected) + 1 or any(
        size not in (None, given) for size, given in zip(expected, array.shape[1:], strict=True)
    ):
        raise UsageError(f'images of shape {array.shape}, but model {model.name!r} takes {(None, *expected)}')
    if not len(array):
        raise UsageError(f'images of shape {array.shape}: give at least one sample')
    if not np.isfinite(array).all():
        raise UsageError('images hold values that are infinite or not a number; leave these samples out or repair them')
    return array


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


def check_share(name: str, value: Any) -> None:
    """Raises a `UsageError` if a value is not a share in [0, 1), such as a ratio that is to be removed."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 <= value < 1:
        raise UsageError(f'{name}={value!r}: give a share from 0 up to, but not including, 1')


def check_choice(name: str, value: Any, choices: Iterable[str]) -> None:
    """Raises a `UsageError` if a value is none of the choices."""
    if value not in tuple(choices):
        raise UsageError(f'{name}={value!r}: give one of {", ".join(choices)}')


def check_layers(layers: Collection[str], known: Iterable[str], what: str) -> None:
    """Raises a `UsageError` if a name of a layer is not accepted.

    Args:
      layers: names of layers; a single string is rejected.
      known: the accepted names.
      what: participle of the operation for messages, such as 'pruned'.
    """
    if isinstance(layers, str):
        raise UsageError(f'layers={layers!r}: give a list of names of layers, such as [{layers!r}]')
    known = list(known)
    unknown = [name for name in layers if name not in known]
    if unknown:
        raise UsageError(
            f'layers names {unknown[0]!r}, which cannot be {what}; those are: {", ".join(known) or "none"}'
        )
