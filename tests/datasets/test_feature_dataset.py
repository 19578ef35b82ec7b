from __future__ import annotations

import numpy as np

from pocketflow.datasets.digits_dataset import DigitsDataset
from pocketflow.datasets.digits_options import DigitsOptions
from pocketflow.datasets.feature_dataset import FeatureDataset
from pocketflow.datasets.sourced_dataset import Shard


def test_the_order_and_the_batches_are_those_of_the_data_set():
    data = DigitsDataset(DigitsOptions(num_train=50, num_val=5, batch_size=8, crop_padding=0, hold_out=True), seed=3)
    data.shard = Shard(1, 2)
    assert not data.is_augmented and data.with_options(crop_padding=1).is_augmented
    images, _ = data.samples('train')
    features = np.stack([np.arange(50), images.reshape(50, -1).sum(axis=1)], axis=1).astype(np.float32)
    of_features = FeatureDataset(data, features)
    train, held_out = of_features.split_indices(enbl_trn_val_split=False)
    assert len(train) == of_features.num_trained == 45 and len(held_out) == 5
    for first in (0, 6):
        expected = data.train_batches(train, first).take(7).as_numpy_iterator()
        found = of_features.train_batches(train, first).take(7).as_numpy_iterator()
        for (pixels, labels), (values, its_labels) in zip(expected, found, strict=True):
            np.testing.assert_array_equal(labels, its_labels)
            assert values.shape == (8, 2)
            np.testing.assert_array_equal(data.normalize(images[values[:, 0].astype(int)]), pixels)
