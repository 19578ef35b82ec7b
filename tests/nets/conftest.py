"""Pairs with their default options, and comparisons of networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tf_keras as keras

from pocketflow.nets import PAIRS
from pocketflow.nets.abstract_model_helper import AbstractModelHelper


def helper(
    pair: str, data: Mapping[str, Any] | None = None, data_class: Any = None, **net_options
) -> AbstractModelHelper:
    """The pair, with options of its data set by field name and of its network.

    Args:
      data_class: options class of the data; default: that of the data set.
    """
    helper_class = PAIRS.get(pair)
    make_data_options = data_class or helper_class.dataset_class.options_class
    return helper_class(
        helper_class.net_options_class(**net_options), helper_class.dataset_class(make_data_options(**data or {}))
    )


def num_trainable(model: keras.Model) -> int:
    """Number of the values of all trainable weights."""
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def with_random_weights(model: keras.Model) -> keras.Model:
    """All weights are random: Keras begins with biases and means of zero, and variances of one."""
    rng = np.random.default_rng(0)
    old = model.get_weights()
    model.set_weights([rng.uniform(0.5, 1.5, array.shape) * np.where(array == 0, 0.1, array) for array in old])
    return model


def assert_same_logits(model: keras.Model, theirs: keras.Model) -> None:
    """Both give the same 1000 numbers for random images, and different numbers for different classes."""
    images = np.random.default_rng(1).uniform(-1, 1, (2, *model.input_shape[1:])).astype(np.float32)
    expected = theirs(images, training=False).numpy().reshape(2, 1000)
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(model(images, training=False), expected, rtol=0, atol=1e-5 * np.ptp(expected))
