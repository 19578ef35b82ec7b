"""Qualities are those of the held-out samples."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.learners.channel_pruning.curves.held_out import HeldOutQuality, num_batches
from tests.learners.search.conftest import NUM_VAL, tiny_helper, tiny_net


def test_loss_and_metric_of_the_first_held_out_samples():
    helper, model = tiny_helper(weight_decay=1.0), tiny_net()
    _, held_out = helper.dataset.split_indices(enbl_trn_val_split=True)
    quality = HeldOutQuality(helper, 10)
    assert quality.num_samples == 14 and num_batches(helper, 10) == 2  # batches of seven
    batches = helper.dataset.ordered_batches('train', held_out[:14]).as_numpy_iterator()
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    logits = model(images).numpy()
    found = quality(model)
    assert found.metric == pytest.approx(np.mean(logits.argmax(axis=1) == labels))
    log_sums = np.log(np.exp(logits).sum(axis=1))
    assert found.loss == pytest.approx(np.mean(log_sums - logits[np.arange(14), labels]), rel=1e-4)  # without decay


def test_changes_of_the_weights_are_seen_and_all_samples_suffice():
    helper, model = tiny_helper(), tiny_net()
    quality = HeldOutQuality(helper)
    assert quality.num_samples == NUM_VAL
    before = quality(model)
    model.get_layer('logits').kernel.assign_add(10 * np.eye(16, 10, dtype=np.float32))
    assert quality(model) != before != quality(tiny_net(1))
