from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from sklearn.cluster import KMeans

from pocketflow.utils.quantization import codebooks
from pocketflow.utils.quantization.limits import CODEBOOK_STYLES


def test_initial_codebooks():
    rows = np.array([[0.0, 0.5, 0.1, 1.0, 0.2]])
    # Places 100/3 % and 200/3 % of 0..4: 1.33 and 2.67, so the second and the fourth of the sorted values.
    np.testing.assert_array_equal(codebooks.initial_codebooks(rows, 2, 'quantile'), [[0.1, 0.5]])
    np.testing.assert_allclose(codebooks.initial_codebooks(rows, 3, 'uniform'), [[0.0, 0.5, 1.0]])


def test_lloyd_by_hand():
    rows = np.array([[0.0, 0.1, 0.2, 0.9, 1.0], [0.0, 0.0, 0.4, 0.6, 1.0]])
    books = codebooks.fit_codebooks(rows, 2, 'uniform')
    np.testing.assert_allclose(books, [[0.1, 0.95], [0.4 / 3, 0.8]], rtol=1e-6)


@pytest.mark.parametrize('style', CODEBOOK_STYLES)
def test_fitted_codebooks_are_near_the_best(style):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3, 400))
    rows = (rows - rows.min(1, keepdims=True)) / np.ptp(rows, axis=1, keepdims=True)
    books = codebooks.fit_codebooks(rows, 8, style, num_iterations=50)
    for row, book in zip(rows, books, strict=True):
        error = np.square(row[:, None] - book).min(1).sum()
        best = KMeans(8, n_init=5, random_state=0).fit(row[:, None]).inertia_
        assert error < 1.2 * best
        assert (np.diff(book) > 0).all()


def test_a_few_iterations_are_better_than_none():
    rows = np.abs(np.random.default_rng(0).normal(size=(1, 500)))
    errors = [
        np.square(rows.T - codebooks.fit_codebooks(rows, 16, 'quantile', count)).min(1).sum()
        for count in (0, codebooks.NUM_ITERATIONS)
    ]
    assert errors[1] < 0.5 * errors[0]


def test_empty_entries_are_seeded_anew():
    rows = np.array([[0.0] * 20 + [0.01] * 20 + [0.02] * 20 + [1.0]])
    book = codebooks.fit_codebooks(rows, 4, 'uniform')[0]  # 1/3 and 2/3 have no weights
    np.testing.assert_allclose(book, [0.0, 0.01, 0.02, 1.0], rtol=1e-6)


def test_fewer_values_than_entries():
    book = codebooks.fit_codebooks(np.array([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]), 8, 'quantile')
    assert set(book[0]) == {0.0, 1.0} and set(book[1]) == {0.0}


def test_nearest_entries_are_those_of_all_distances():
    rng = np.random.default_rng(0)
    rows, books = rng.random((3, 50)).astype(np.float32), np.sort(rng.random((3, 8)).astype(np.float32), axis=1)
    expected = np.abs(rows[:, :, None] - books[:, None]).argmin(2)
    np.testing.assert_array_equal(codebooks.nearest_entries(tf.constant(rows), tf.constant(books)), expected)


def test_gradients_are_those_of_han_et_al():
    """By hand: straight through for weights, the sum over the assigned weights for entries."""
    rows, books = tf.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), tf.constant([[10.0, 20.0], [30.0, 40.0]])
    places = tf.constant([[0, 1, 1], [0, 0, 0]])
    upstream = tf.constant([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    with tf.GradientTape() as tape:
        tape.watch([rows, books])
        values = codebooks.look_up(rows, books, places)
        loss = tf.reduce_sum(values * upstream)
    np.testing.assert_array_equal(values, [[10.0, 20.0, 20.0], [30.0, 30.0, 30.0]])
    by_row, by_book = tape.gradient(loss, [rows, books])
    np.testing.assert_array_equal(by_row, upstream)
    np.testing.assert_array_equal(by_book, [[1.0, 6.0], [56.0, 0.0]])
