"""Batch norms that cannot be frozen are refused before training."""

from __future__ import annotations

import pytest
import tf_keras as keras

from pocketflow.learners.uniform_quantization_tf.checking import check_norms_to_freeze
from pocketflow.utils.errors import UsageError


def network(*stack: keras.layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((8, 8, 1)), *stack, keras.layers.Flatten(), keras.layers.Dense(10)])


class OwnNorm(keras.layers.BatchNormalization):
    """A batch norm of another type."""


def test_norms_that_cannot_be_frozen_are_refused():
    check_norms_to_freeze(network(keras.layers.BatchNormalization(), keras.layers.LayerNormalization()))
    with pytest.raises(UsageError, match=r'^--uqtf_freeze_bn_delay: .* can be frozen, not own \(OwnNorm\); replace'):
        check_norms_to_freeze(network(keras.layers.BatchNormalization(), OwnNorm(name='own')))
