"""Order of the samples and held-out split: pure functions of seed, step and identity."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

SPLIT_SEED = 20180728
"""Seed of the split, independent of `--seed`, so that all runs hold out the same samples."""


def shuffled_indices(step: tf.Tensor, batch_size: int, num_samples: int, seed: int) -> tf.Tensor:
    """Sample indices of one step's batch: each sample occurs once per epoch, and each epoch has its own order.

    A pure function of the step, so that training resumes anywhere without replaying the steps before.

    Args:
      step: scalar integer, counted from 0.
      batch_size, num_samples: samples per step, and in all.
      seed: changes the orders.

    Returns:
      int64 `[batch_size]`, each in `[0, num_samples)`. A batch may end one epoch and begin the next.
    """
    position = tf.cast(step, tf.int64) * batch_size + tf.range(batch_size, dtype=tf.int64)
    epoch, offset = position // num_samples, position % num_samples
    seeds = tf.stack([tf.fill([batch_size], tf.constant(seed, tf.int64)), epoch, tf.zeros_like(epoch)], axis=1)
    # The public tf.random.experimental.index_shuffle does not support one seed per index; this operation does.
    return tf.raw_ops.RandomIndexShuffle(
        index=offset, seed=tf.cast(seeds, tf.int32), max_index=tf.constant(num_samples - 1, tf.int64), rounds=4
    )


def train_val_split(num_samples: int, num_val: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the training and of the validation samples: disjoint, complete and always the same."""
    order = np.random.default_rng(SPLIT_SEED).permutation(num_samples)
    return np.sort(order[num_val:]), np.sort(order[:num_val])


def stratified_shares(names: Sequence[bytes], labels: np.ndarray, salt: str) -> np.ndarray:
    """Position of each sample, in (0, 1), in a stratified order that depends only on names.

    The samples of a class are ranked by a hash of their names; rank r of n stands at `(r + 1/2) / n`. So those below
    0.2 are a fifth of each class, rounded, and a new sample changes the place of few others.

    Args:
      names: what identifies the samples, all different.
      labels: class numbers `[N]`.
      salt: changes the order.

    Returns:
      float64 `[N]` in (0, 1).
    """
    keys = _hashes(names, salt)
    order = np.lexsort((keys, labels))
    counts = np.bincount(labels)
    first = np.concatenate([[0], np.cumsum(counts)])[labels[order]]
    shares = np.empty(len(labels))
    shares[order] = (np.arange(len(labels)) - first + 0.5) / counts[labels[order]]
    return shares


def stratified_order(names: Sequence[bytes], labels: np.ndarray, salt: str) -> np.ndarray:
    """Sample indices sorted by `stratified_shares`; ties are broken by the hash."""
    return np.lexsort((_hashes(names, salt), stratified_shares(names, labels, salt)))


def _hashes(names: Sequence[bytes], salt: str) -> np.ndarray:
    return np.array(
        [int.from_bytes(hashlib.blake2b(name, digest_size=8, key=salt.encode()).digest(), 'big') for name in names],
        np.uint64,
    )
