"""Layers that are not trained, and what they compute of the training samples, which is computed only once."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from absl import logging

from pocketflow.datasets.sourced_dataset import SourcedDataset
from pocketflow.learners.options import BACKBONE, NOTHING
from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph import last_layer
from pocketflow.utils.graph.split import border, layers_before
from pocketflow.utils.system import interrupts
from pocketflow.utils.system.progress import Progress

BYTES = 4
"""Of a float32."""


def frozen_layers(model: keras.Model, freeze: str | None, source: str) -> frozenset[str]:
    """Names of the layers that `--freeze` names.

    Args:
      model: a flat functional model.
      freeze: the value of the flag.
      source: origin of the model, for messages.

    Raises:
      UsageError: there is no such layer, or nothing with weights would be left to train.
    """
    if freeze in (None, NOTHING):
        return frozenset()
    try:
        if freeze == BACKBONE:
            names = layers_before(model, last_layer(model).name, included=False)
        else:
            names = layers_before(model, str(freeze))
    except UsageError as error:
        raise UsageError(f'--freeze={freeze}: {source}: {error}') from error
    if not any(layer.trainable_weights for layer in model.layers if layer.name not in names):
        raise UsageError(f'--freeze={freeze}: {source}: no layer would be left to train; name an earlier one')
    return names


@contextlib.contextmanager
def frozen(model: keras.Model, names: Collection[str]) -> Iterator[None]:
    """Within the block these layers are not trained; batch norms among them use their moving statistics."""
    changed = [layer for layer in model.layers if layer.name in names and layer.trainable]
    for layer in changed:
        layer.trainable = False
    try:
        yield
    finally:
        for layer in changed:
            layer.trainable = True


def why_not_kept(model: keras.Model, names: Collection[str], dataset: SourcedDataset, limit: int) -> str | None:
    """Why the outputs of frozen layers are computed anew in each step; None if they can be kept.

    Args:
      model: a flat functional model.
      names: of the frozen layers.
      dataset: the training samples.
      limit: bytes that they may take.
    """
    random = [layer.name for layer in model.layers if layer.name in names and _is_random(layer)]
    tensor = border(model, names)
    if tensor is None or None in tensor.shape[1:] or tf.nest.is_nested(model.input):
        return 'they pass on more than one tensor of a fixed size'
    if dataset.is_augmented:
        return 'training images are augmented'
    if dataset.answers is not None:
        return 'there are no labels'
    if random:
        return f'layer {random[0]!r} among them is random'
    size = num_bytes(tensor, dataset)
    if size > limit:
        mebibytes = f'{size / 2**20:.0f} MiB, of which --frozen_cache_mib allows {limit // 2**20}'
        return f'what they compute of {len(dataset.source("train"))} training images takes {mebibytes}'
    return None


def num_bytes(tensor: Any, dataset: SourcedDataset) -> int:
    """What the values of a tensor for all training samples take."""
    return BYTES * len(dataset.source('train')) * math.prod(tensor.shape[1:])


def _is_random(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.__internal__.layers.BaseRandomLayer)


def features_of(model: keras.Model, tensor: Any, dataset: SourcedDataset) -> np.ndarray:
    """The values of a tensor for all training samples, in inference mode: float32 `[N, ...]`.

    Args:
      model: a flat functional model with one input.
      tensor: one of its tensors.
      dataset: the samples, in the order of its source.
    """
    front = keras.Model(model.input, tensor)

    @tf.function(reduce_retracing=True)
    def values_of(images: tf.Tensor) -> tf.Tensor:
        return front(images, training=False)

    features: np.ndarray = np.empty([len(dataset.source('train')), *tensor.shape[1:]], np.float32)
    progress, start = Progress('frozen layers', len(features)), 0
    for images, _ in dataset.ordered_batches('train'):
        interrupts.check()
        values = values_of(images).numpy()
        features[start : start + len(values)] = values
        start += len(values)
        progress.advance(len(values))
    progress.close()
    logging.info(
        'kept what the frozen layers compute of %d training images: %s each, %.1f MiB',
        len(features),
        features.shape[1:],
        features.nbytes / 2**20,
    )
    return features
