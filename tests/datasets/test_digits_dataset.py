from __future__ import annotations

import numpy as np

from pocketflow.datasets.digits_dataset import DigitsDataset, DigitsOptions


def test_splits_are_disjoint_and_complete():
    data = DigitsDataset(DigitsOptions())
    train, evaluation = data.samples('train'), data.samples('eval')
    assert (len(train.labels), len(evaluation.labels)) == (1437, 360)
    both = np.concatenate([train.images, evaluation.images]).reshape(1797, -1)
    assert len(np.unique(train.labels)) == len(np.unique(evaluation.labels)) == 10
    assert both.min() == 0 and both.max() == 16


def test_normalised_to_about_zero_mean_and_unit_deviation():
    images = np.concatenate([images for images, _ in DigitsDataset(DigitsOptions()).ordered_batches('train')])
    assert abs(images.mean()) < 0.05
    assert abs(images.std() - 1) < 0.05
