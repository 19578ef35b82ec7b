from __future__ import annotations

import numpy as np
import pytest

from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.lint.delegation import ask
from pocketflow.utils.export.lint.linter import lint_file
from pocketflow.utils.export.lint.observed import largest_sum, observe


def test_values_of_a_file_are_those_of_its_model(files, graphs):
    graph = graphs['clean', 'float32']
    images = np.random.default_rng(1).normal(size=(3, 8, 8, 3)).astype(np.float32)
    extremes, sums = observe(files['clean', 'float32'], graph, {'images': images})
    convolution, mean, dense = graph.operations
    assert 0 < extremes[convolution.outputs[0].index] <= 6
    # The sum is 36 times the largest mean, since nothing is negative behind a ReLU6.
    assert sums[mean.index] == pytest.approx(36 * extremes[mean.outputs[0].index], rel=1e-5)
    assert extremes[dense.outputs[0].index] > 0


def test_large_samples_are_found_out_of_range(files):
    result = lint_file(files['sequence', 'float32'], {'x': np.full((1, 12, 4), 1e6, np.float32)}, ask)
    assert result.is_observed and 'fp16-range' in [finding.check for finding in result.findings]
    result = lint_file(files['sequence', 'float32'], {'x': np.ones((1, 12, 4), np.float32)}, ask)
    assert result.is_observed and 'fp16-range' not in [finding.check for finding in result.findings]


def test_large_inputs_count(files):
    images = np.full((1, 8, 8, 3), 1e5, np.float32)
    (finding,) = lint_file(files['clean', 'float32'], {'images': images}, ask).findings
    assert (finding.check, finding.count) == ('fp16-range', 1)


def test_samples_of_another_shape(files, graphs):
    with pytest.raises(
        UsageError, match=r'samples of shape \(1, 4, 4, 3\) are given, but the file takes \[N, 8, 8, 3\]'
    ):
        observe(files['clean', 'float32'], graphs['clean', 'float32'], {'x': np.ones((1, 4, 4, 3))})


def test_sums_are_of_absolute_values(graphs):
    mean = graphs['clean', 'float32'].operations[1]
    values = np.zeros((1, 6, 6, 4))
    values[0, :2, 0, 1] = 3.0, -4.0
    assert largest_sum(mean, values) == 7.0
