"""The layer that picks channels."""

from __future__ import annotations

import numpy as np
import tf_keras as keras

from pocketflow.utils.channels import ChannelSelect


def test_it_picks_in_the_order_given():
    select = ChannelSelect([2, 0], 3)
    np.testing.assert_array_equal(select(np.array([[1.0, 2.0, 3.0]])), [[3.0, 1.0]])
    assert select.compute_output_shape((None, 5, 3)).as_list() == [None, 5, 2]


def test_its_config_makes_an_equal_layer():
    config = ChannelSelect([0, 2], 3, name='select').get_config()
    assert config['indices'] == [0, 2] and config['nb_inputs'] == 3
    copy = keras.layers.deserialize(keras.layers.serialize(ChannelSelect.from_config(config)))
    assert copy.get_config() == config


def test_feature_maps_pass_unchanged():
    images = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(ChannelSelect([4, 0, 1], 5)(images), images[..., [4, 0, 1]])
