from __future__ import annotations

import numpy as np
import pytest

from pocketflow.utils.export.lint.checks.half_precision import LARGEST_HALF, extreme_of_codes, window_size, window_sums
from pocketflow.utils.export.lint.findings import CHECKS, Subject
from pocketflow.utils.export.lint.graph import Tensor


def test_the_largest_float16():
    assert np.float16(LARGEST_HALF) == LARGEST_HALF == np.finfo(np.float16).max
    with np.errstate(over='ignore'):
        assert np.isinf(np.float16(256) * np.float16(256))
        assert np.isfinite(np.float16(255) * np.float16(255))


@pytest.mark.parametrize(('scale', 'zero_point', 'extreme'), [(0.5, -128, 127.5), (2.0, 0, 256.0), (1.0, 127, 255.0)])
def test_the_range_of_codes(scale, zero_point, extreme):
    assert extreme_of_codes(Tensor(0, 'x', (1,), 'INT8', scales=(scale,), zero_points=(zero_point,))) == extreme


def test_window_sums_are_the_number_of_elements_times_the_largest(graphs):
    graph = graphs['clean', 'float32']
    mean = graph.operations[1]
    assert window_size(mean) == 36
    assert window_sums(graph, {mean.inputs[0].index: 2.0}) == {mean.index: 72.0}


def checks(name, graph, **known):
    return [*CHECKS.get(name)(Subject(graph, **known))]


def test_ranges(graphs):
    graph = graphs['clean', 'float32']
    output = graph.operations[0].outputs[0].index
    assert not checks('fp16-range', graph) and not checks('fp16-range', graph, extremes={output: 65504.0})
    (finding,) = checks('fp16-range', graph, extremes={output: 70000.0})
    assert 'up to 7e+04' in finding.text and finding.count == 1


def test_sums_of_samples_replace_the_bound(graphs):
    graph = graphs['clean', 'float32']
    mean = graph.operations[1]
    assert checks('fp16-sum', graph, extremes={mean.inputs[0].index: 2000.0})  # 36 * 2000
    assert not checks('fp16-sum', graph, extremes={mean.inputs[0].index: 2000.0}, sums={mean.index: 60000.0})


def test_codes_of_an_integer_file_are_a_range_without_samples(graphs):
    assert not checks('fp16-range', graphs['clean', 'int8']) and not checks('fp16-sum', graphs['clean', 'int8'])


def test_a_layer_norm_is_recognised(graphs):
    (finding,) = checks('layer-norm', graphs['sequence', 'float32'])
    assert finding.count == 1 and 'norm' in finding.places[0]
    assert not checks('layer-norm', graphs['clean', 'float32'])
