"""Validation of the arguments of the Python interface: models, arrays, names and shares."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph.inputs import model_inputs
from pocketflow.utils.graph.standard_form import standard_form
from pocketflow.utils.tasks.nests import Nest


def flat_model(model: keras.Model) -> keras.Model:
    """The model as one flat functional graph: the model itself if it is one; the outputs are unchanged.

    Args:
      model: a functional or built sequential model of tf_keras, possibly with models among its layers.

    Raises:
      UsageError: it is not a tf_keras model, or is a subclassed one.
    """
    return standard_form(model, wants_logits=False).model


def checked_images(model: keras.Model, images: Any) -> Nest:
    """Converts samples to float32 arrays `[N, ...]` for a model.

    Args:
      model: a functional model.
      images: array of numbers `[N, ...]`, N >= 1, preprocessed for the model; for a model with several inputs a dict by
        the names of the input layers, or a list in the order of the inputs.

    Raises:
      UsageError: their shape does not fit, or they are empty, not numbers, or not finite.
    """
    if len(model.inputs) == 1 and not isinstance(images, Mapping):
        return _checked_array(model, model.inputs[0], images)
    expected = model_inputs(model, images)
    if isinstance(images, (list, tuple)) and isinstance(expected, Mapping):
        images = dict(zip(expected, images, strict=False))
    if isinstance(images, Mapping):
        if not isinstance(expected, Mapping) or images.keys() != expected.keys():
            raise UsageError(
                f'images of the inputs {", ".join(images)}, but model {model.name!r} takes '
                f'{", ".join(model.input_names)}'
            )
        return _of_equal_lengths({name: _checked_array(model, expected[name], array) for name, array in images.items()})
    if not isinstance(images, (list, tuple)) or len(images) != len(model.inputs):
        raise UsageError(
            f'model {model.name!r} takes the inputs {", ".join(model.input_names)}: give a dict with an array for each'
        )
    pairs = zip(model.inputs, images, strict=True)
    return _of_equal_lengths([_checked_array(model, tensor, array) for tensor, array in pairs])


def _of_equal_lengths(arrays: Nest) -> Nest:
    lengths = [len(array) for array in tf.nest.flatten(arrays)]
    if len(set(lengths)) > 1:
        raise UsageError(f'images of several inputs have {", ".join(map(str, lengths))} samples; give equal numbers')
    return arrays


def _checked_array(model: keras.Model, tensor: Any, images: Any) -> np.ndarray:
    expected = tuple(tensor.shape[1:])
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
