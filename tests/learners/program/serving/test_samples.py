"""Samples for servers."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.learners.program.serving.samples import evaluation_samples, fitting, random_samples
from pocketflow.utils.errors import UsageError
from pocketflow.utils.serving.served_file import Tensor, read_served_file

FLOATS = np.dtype(np.float32)


def test_evaluation_samples_are_normalised_as_the_file_takes_them(pruned_run):
    tensors = read_served_file(pruned_run.path / 'model_float32.tflite').inputs
    samples = evaluation_samples(pruned_run.path, tensors, 7)
    assert list(samples) == ['images'] and samples['images'].shape == (7, 8, 8, 1)
    from sklearn.datasets import load_digits

    pixels = samples['images'] * 6.02 + 4.88  # docs/deploy.md: the normalisation of digits
    digits = load_digits().images.astype(np.float32)
    assert all(np.isclose(digits, image[..., 0], atol=0.05).all(axis=(1, 2)).any() for image in pixels)


def test_random_samples_are_of_the_type_that_is_sent():
    tensors = [
        Tensor('codes', np.dtype(np.int8), (2,), 0.1),
        Tensor('pixels', np.dtype(np.uint8), (50,), 0.1),
        Tensor('tokens', np.dtype(np.int32), (3,)),
    ]
    found, again = random_samples(tensors, 4), random_samples(tensors, 4)
    assert {name: array.dtype.name for name, array in found.items()} == {
        'codes': 'float32',
        'pixels': 'uint8',
        'tokens': 'int32',
    }
    assert found['pixels'].max() > 200 and set(found['tokens'].ravel()) <= {0, 1}
    assert all(np.array_equal(found[name], again[name]) for name in found)


def test_samples_of_another_network_are_refused():
    tensors = [Tensor('a', FLOATS, (2,)), Tensor('b', FLOATS, (3,))]
    samples = {'b': np.zeros((1, 3), np.float32), 'a': np.zeros((1, 2), np.float32)}
    assert list(fitting(samples, tensors)) == ['a', 'b']
    with pytest.raises(UsageError, match='have the shapes'):
        fitting({**samples, 'a': np.zeros((1, 4), np.float32)}, tensors)
