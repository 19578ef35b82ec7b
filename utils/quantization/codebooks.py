"""Code books: k-means on weights, assignment of weights to entries, and gradients.

Code books contain normalised values: 0 is the least and 1 the greatest weight of a bucket. Each row is a bucket:
weights are [buckets, elements per bucket], code books [buckets, entries].
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

NUM_ITERATIONS = 100
"""Of k-means: milliseconds per layer. With 10, from quantiles of Laplacian weights, the squared error doubles."""


def initial_codebooks(rows: np.ndarray, num_entries: int, style: str) -> np.ndarray:
    """Initial code books of k-means.

    Args:
      rows: weights [buckets, elements].
      num_entries: K, the number of entries of each code book.
      style: 'quantile': entry j is the 100 (j+1) / (K+1)-th percentile (an element of the bucket); 'uniform': evenly
        spaced from the least to the greatest.

    Returns:
      float64 [buckets, K], ascending, in the units of `rows`.
    """
    if style == 'quantile':
        places = np.arange(1, num_entries + 1) / (num_entries + 1) * (rows.shape[1] - 1)
        return np.sort(rows, axis=1)[:, np.rint(places).astype(int)].astype(np.float64)
    return np.linspace(rows.min(axis=1), rows.max(axis=1), num_entries, axis=1, dtype=np.float64)


def fit_codebooks(rows: np.ndarray, num_entries: int, style: str, num_iterations: int = NUM_ITERATIONS) -> np.ndarray:
    """Code books by k-means (Lloyd 1982), for all buckets at once.

    Args:
      rows: normalised weights [buckets, elements], in [0, 1].
      num_entries, style: as for `initial_codebooks`.
      num_iterations: number of k-means iterations.

    Returns:
      float32 [buckets, K], ascending. Entries without weights are moved to the weights with the largest error, so that
      an entry is unused only if a bucket has fewer distinct values than entries.
    """
    rows = np.sort(rows.astype(np.float64), axis=1)
    books = initial_codebooks(rows, num_entries, style)
    for _ in range(num_iterations):
        books = _lloyd_step(rows, books)
    return books.astype(np.float32)


def _lloyd_step(rows: np.ndarray, books: np.ndarray) -> np.ndarray:
    """Each entry becomes the mean of the (sorted) weights nearest to it."""
    num_buckets, length = rows.shape
    # In sorted weights each cluster is contiguous; buckets are separated by shifts of two units.
    shift = 2.0 * np.arange(num_buckets)[:, np.newaxis]
    ends = np.searchsorted((rows + shift).ravel(), (midpoints(books) + shift).ravel(), side='right')
    starts = length * np.arange(num_buckets)[:, np.newaxis]
    edges = np.concatenate([starts, ends.reshape(num_buckets, -1), starts + length], axis=1)
    sums = np.concatenate([[0.0], np.cumsum(rows)])[edges]
    counts = np.diff(edges, axis=1)
    means = np.where(counts > 0, np.diff(sums, axis=1) / np.maximum(counts, 1), books)
    for bucket in np.flatnonzero((counts == 0).any(axis=1)):
        means[bucket] = _reseeded(rows[bucket], means[bucket], counts[bucket])
    return np.sort(means, axis=1)


def _reseeded(values: np.ndarray, book: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The code book with its empty entries moved to the distinct values farthest from their entries."""
    candidates = np.unique(values)
    distances = np.abs(candidates[:, np.newaxis] - book[counts > 0]).min(axis=1)
    worst = np.argsort(-distances, kind='stable')[: np.count_nonzero(counts == 0)]
    worst = worst[distances[worst] > 0]
    book = book.copy()
    book[np.flatnonzero(counts == 0)[: len(worst)]] = candidates[worst]
    return book


def midpoints(books: tf.Tensor | np.ndarray) -> tf.Tensor | np.ndarray:
    """Decision thresholds between neighbouring entries, [buckets, K - 1]."""
    return (books[:, :-1] + books[:, 1:]) / 2


def nearest_entries(rows: tf.Tensor, books: tf.Tensor) -> tf.Tensor:
    """Index of the nearest entry for each weight (the lower one of two), int32 of the shape of `rows`.

    The rows of `books` are ascending. Bisection takes log2(K) comparisons per weight, without a table of distances.
    """
    return tf.searchsorted(midpoints(books), rows)


@tf.custom_gradient
def look_up(rows: tf.Tensor, books: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """`books[bucket, place]`, float32 of the shape of `rows`.

    Gradients (Han et al. 2016, https://arxiv.org/abs/1510.00149, section 3.3): straight-through for `rows`; for an
    entry, the sum over the weights assigned to it.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, None]:
        shape = tf.shape(books)
        segments = places + shape[1] * tf.range(shape[0])[:, tf.newaxis]
        sums = tf.math.unsorted_segment_sum(upstream, segments, shape[0] * shape[1])
        return upstream, tf.reshape(sums, shape), None

    return tf.gather(books, places, batch_dims=1), gradient
