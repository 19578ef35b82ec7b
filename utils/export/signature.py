"""Names of the inputs and outputs of a model in its `.tflite` files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.graph.inputs import inputs_in_order, names_in_order
from pocketflow.utils.tasks.nests import Nest

ONLY_INPUT = 'images'
"""Name of the input of a file that has only one, if it is an image."""
IMAGE_AXES = 3


def input_names(model: keras.Model) -> list[str]:
    """Names of the inputs in the order of `model.inputs`: those of the input layers, or of a dict of inputs.

    A single image, which Keras names `input_1`, is `images`.
    """
    if len(model.inputs) == 1 and len(model.inputs[0].shape) == 1 + IMAGE_AXES:
        return [ONLY_INPUT]
    return identifiers(names_in_order(model.input, model.input_names))


def output_names(model: keras.Model) -> list[str]:
    """Names of the outputs in the order of `model.outputs`: those of the output layers, or of a dict of outputs."""
    return identifiers(names_in_order(model.output, model.output_names))


def identifiers(names: Sequence[str]) -> list[str]:
    """Distinct names of letters, digits and underscores.

    >>> identifiers(['left/eye', 'left.eye', '2nd'])
    ['left_eye', 'left_eye_1', 'x2nd']
    """
    found: list[str] = []
    for name in names:
        clean = re.sub(r'\W', '_', name, flags=re.ASCII)
        clean = clean if clean[:1].isalpha() else f'x{clean}'
        number = sum(known == clean or re.fullmatch(f'{clean}_[0-9]+', known) is not None for known in found)
        found.append(f'{clean}_{number}' if number else clean)
    return found


def named_inputs(model: keras.Model, samples: Nest) -> dict[str, np.ndarray]:
    """Samples by the names of the inputs in a file."""
    return dict(zip(input_names(model), inputs_in_order(model, samples), strict=True))


def structured_outputs(model: keras.Model, outputs: Mapping[str, np.ndarray]) -> Nest:
    """Outputs of a file in the structure of the outputs of its model."""
    return tf.nest.pack_sequence_as(model.output, [outputs[name] for name in output_names(model)])
