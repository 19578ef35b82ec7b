"""Gram matrices of contributions."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.learners.channel_pruning import grams
from pocketflow.learners.channel_pruning.grams import (
    blockwise_gram,
    channel_sums,
    contribution_bytes,
    contribution_gram,
)


def test_sums_by_hand():
    # Features 0 and 2 are channel 0, feature 1 is channel 1.
    products = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    assert channel_sums(products, np.array([0, 1, 0])).tolist() == [[1 + 3 + 7 + 9, 2 + 8], [4 + 6, 5]]


@pytest.mark.parametrize('num_rows', [3, 500])
def test_both_ways_give_the_same_gram(num_rows, monkeypatch):
    rng = np.random.default_rng(1)
    patches, weights = rng.normal(size=(num_rows, 12)), rng.normal(size=(12, 7))
    channel_of = np.array([0, 1, 2, 0, 0, 2] * 2)
    parts = np.stack([(patches[:, channel_of == c] @ weights[channel_of == c]).ravel() for c in range(3)])
    monkeypatch.setattr(grams, 'BLOCK_BYTES', 1)  # one output at a time
    np.testing.assert_allclose(contribution_gram(tf.constant(patches), weights, channel_of), parts @ parts.T)


def test_blocks_give_the_gram_of_the_whole():
    rng = np.random.default_rng(1)
    patches, weights, channel_of = rng.normal(size=(5, 6)), rng.normal(size=(6, 4)), np.array([0, 1, 2, 3, 3, 1])
    blocks = [(np.array([0, 1, 3]), np.array([0, 1])), (np.array([2, 4, 5]), np.array([2, 3]))]
    inside = np.zeros((6, 4), bool)
    for block in blocks:
        inside[np.ix_(*block)] = True
    weights[~inside] = 0
    whole = contribution_gram(tf.constant(patches), weights, channel_of)
    np.testing.assert_allclose(blockwise_gram(tf.constant(patches), weights, channel_of, blocks), whole, atol=1e-12)


def test_memory_of_both_formulas():
    assert contribution_bytes(500, (4608, 512), 512) == 3 * 8 * 4608**2
    assert contribution_bytes(50, (25088, 4096), 512) == 2 * 2**27
