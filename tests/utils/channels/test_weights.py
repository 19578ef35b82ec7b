"""Which part of a weight belongs to which channel."""

from __future__ import annotations

import numpy as np

from pocketflow.utils.channels.weights import axis_indices, cut


def test_one_place_per_channel():
    assert axis_indices(np.array([0, 2]), num_channels=3, length=3).tolist() == [0, 2]


def test_several_places_per_channel():
    assert axis_indices(np.array([1]), num_channels=2, length=6).tolist() == [3, 4, 5]


def test_a_shared_weight_stays():
    assert axis_indices(np.array([1, 2]), num_channels=3, length=1).tolist() == [0]


def test_cut_takes_along_each_axis():
    kernel = np.arange(12).reshape(3, 4)
    assert cut(kernel, {-2: np.array([0, 2]), -1: np.array([3])}).tolist() == [[3], [11]]
    assert cut(kernel, {}) is kernel
