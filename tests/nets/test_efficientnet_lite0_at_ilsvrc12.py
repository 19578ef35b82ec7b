"""EfficientNet-Lite0 at ILSVRC-12 takes pixels as its published weights do."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pocketflow.nets import PAIRS
from tests.nets.conftest import helper


def test_pixels_are_normalised_as_published():
    options_class = PAIRS.declaration('efficientnet_lite0_at_ilsvrc12').data_options_class
    pair = helper('efficientnet_lite0_at_ilsvrc12', data_class=options_class)
    images = pair.dataset.normalize(tf.constant([[[[0, 127, 255]]]], tf.uint8))
    np.testing.assert_allclose(images[0, 0, 0], [-127 / 128, 0, 1], atol=1e-6)
    assert pair.dataset.image_shape == (224, 224, 3)
