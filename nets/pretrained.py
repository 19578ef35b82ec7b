"""Networks with the ImageNet weights of `tf_keras.applications`.

Keras downloads the files of weights into `~/.keras/models`, and compares the MD5 of those of ResNets with a value in
its code; of MobileNets it has none. The shapes of all arrays are compared here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras as keras

from pocketflow.utils.errors import PocketFlowError, first_line
from pocketflow.utils.models.files import save_model
from pocketflow.utils.models.keras_state import keras_state_kept

FLAG = '--pretrained=keras_applications'


def application(build: Callable[..., keras.Model], weights: str | None, **settings: Any) -> keras.Model:
    """A network of `tf_keras.applications` for the 1000 classes, with logits as outputs.

    Args:
      build: its function, as `keras.applications.MobileNet`.
      weights: `'imagenet'`, from Keras' cache or a download; None for random ones.
      settings: further arguments.

    Raises:
      PocketFlowError: the weights cannot be had, or are damaged.
    """
    try:
        return build(weights=weights, classifier_activation=None, **settings)
    except Exception as error:  # Keras raises plain exceptions for failed downloads, HDF5 various ones
        raise PocketFlowError(
            f'{FLAG}: the weights of {build.__name__} cannot be read or downloaded ({first_line(error)}); without a '
            f'network put their .h5 file into {cache_folder()}, or give a trained network by --save_path=MODEL'
        ) from error


def cache_folder() -> Path:
    """Where Keras keeps downloaded weights."""
    return Path.home() / '.keras' / 'models'


def cached_model(name: str, make: Callable[[], keras.Model]) -> Path:
    """The `.keras` file of a network in Keras' cache, which is made unless it is there.

    Args:
      name: of the network with its weights and its size.
      make: makes the network.
    """
    path = cache_folder() / f'pocketflow_{name}.keras'
    if not path.is_file():
        with keras_state_kept():
            model = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        save_model(model, path)
    return path


def copy_in_order(theirs: keras.Model, ours: keras.Model) -> None:
    """Copies the weights of layers, in the order of the layers with weights.

    A 1 x 1 convolution of pooled features, as some networks end with, is the same as a dense layer: its kernel loses
    the two axes of the image.

    Raises:
      PocketFlowError: the layers or the shapes of their arrays differ.
    """
    pairs = [[layer for layer in model.layers if layer.weights] for model in (theirs, ours)]
    if len(pairs[0]) != len(pairs[1]):
        raise PocketFlowError(f'{theirs.name} has {len(pairs[0])} layers with weights, {ours.name} {len(pairs[1])}')
    for source, target in zip(*pairs, strict=True):
        arrays = source.get_weights()
        if isinstance(source, keras.layers.Conv2D) and isinstance(target, keras.layers.Dense):
            arrays[0] = np.squeeze(arrays[0], axis=(0, 1))
        wanted, found = [tuple(weight.shape) for weight in target.weights], [array.shape for array in arrays]
        if wanted != found:
            raise PocketFlowError(f'{source.name}: arrays of the shapes {found}; {target.name} needs {wanted}')
        target.set_weights(arrays)
