"""Gram matrices of the contributions of channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse
import tensorflow as tf

BLOCK_BYTES = 2**27
"""Limit for the contributions in memory, in bytes."""


def channel_sums(products: np.ndarray, channel_of: np.ndarray) -> np.ndarray:
    """`[features, features]` summed over the features of each pair of channels: `[channels, channels]`."""
    indicator = scipy.sparse.csr_array((np.ones(len(channel_of)), (channel_of, np.arange(len(channel_of)))))
    return (indicator @ (indicator @ products).T).T


def contribution_gram(patches: tf.Tensor, weights: np.ndarray, channel_of: np.ndarray) -> np.ndarray:
    """G, float64 `[channels, channels]`.

    The cheaper of two formulas is used: G_ij = sum(A_ij * W_i W_j') with A = P'P, or the products of the contributions,
    for some outputs at a time.

    Args:
      patches: P, `[rows, features]`.
      weights: W, float64 `[features, outputs]`.
      channel_of: the channel of each feature, int `[features]`.
    """
    num_rows, num_features = patches.shape
    num_outputs, num_channels = weights.shape[1], int(channel_of.max()) + 1
    if _is_by_features(num_rows, weights.shape, num_channels):
        patches = tf.cast(patches, tf.float64)
        return channel_sums(tf.matmul(patches, patches, transpose_a=True).numpy() * (weights @ weights.T), channel_of)
    members = members_of(channel_of, num_channels)
    padded = tf.pad(tf.cast(patches, tf.float64), [[0, 0], [0, 1]])
    by_channel = tf.gather(tf.transpose(padded), members)  # [channels, features of a channel, rows]
    rows_of = np.concatenate([weights, np.zeros((1, num_outputs))])[members]
    gram = np.zeros((num_channels, num_channels))
    step = max(1, BLOCK_BYTES // (8 * num_rows * num_channels))
    for begin in range(0, num_outputs, step):
        parts = tf.matmul(by_channel, tf.constant(rows_of[..., begin : begin + step]), transpose_a=True)
        parts = tf.reshape(parts, [num_channels, -1])
        gram += tf.matmul(parts, parts, transpose_b=True).numpy()
    return gram


def blockwise_gram(
    patches: tf.Tensor, weights: np.ndarray, channel_of: np.ndarray, blocks: Sequence[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """As `contribution_gram`, for weights that are zero outside of blocks: indices of (features, outputs), disjoint."""
    if len(blocks) < 2:
        return contribution_gram(patches, weights, channel_of)
    num_channels = int(channel_of.max()) + 1
    gram = np.zeros((num_channels, num_channels))
    for features, outputs in blocks:
        channels, local = np.unique(channel_of[features], return_inverse=True)
        part = contribution_gram(tf.gather(patches, features, axis=1), weights[np.ix_(features, outputs)], local)
        gram[np.ix_(channels, channels)] += part
    return gram


def _is_by_features(num_rows: int, shape: tuple[int, int], num_channels: int) -> bool:
    """Whether A takes fewer operations than the contributions; `shape` is (features, outputs)."""
    features, outputs = shape
    return features**2 * (num_rows + outputs) <= num_rows * outputs * (features + num_channels**2)


def contribution_bytes(num_rows: int, shape: tuple[int, int], num_channels: int) -> int:
    """Estimated peak memory of `contribution_gram` besides the weights, in bytes; `shape` is (features, outputs)."""
    features, outputs = shape
    if _is_by_features(num_rows, shape, num_channels):
        return 3 * 8 * features**2  # A, W W' and their product
    return 2 * min(BLOCK_BYTES, 8 * num_rows * num_channels * outputs)


def members_of(channel_of: np.ndarray, num_channels: int) -> np.ndarray:
    """The features of each channel, int `[channels, most features]`, padded with the number of features."""
    order, counts = np.argsort(channel_of, kind='stable'), np.bincount(channel_of, minlength=num_channels)
    members = np.full((num_channels, counts.max()), len(channel_of))
    members[np.arange(counts.max()) < counts[:, None]] = order
    return members
