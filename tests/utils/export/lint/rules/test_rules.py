from __future__ import annotations

import re

import pytest
from ai_edge_litert import _pywrap_analyzer_wrapper

from pocketflow.utils.export.lint.graph import Operation, Tensor
from pocketflow.utils.export.lint.rules import DELEGATES
from pocketflow.utils.export.lint.rules.gpu import GPU
from pocketflow.utils.export.lint.rules.nnapi import NNAPI
from pocketflow.utils.export.lint.rules.xnnpack import XNNPACK


def tensor(*shape: int, type: str = 'FLOAT32', content: bytes | None = None, open_axes: tuple = ()) -> Tensor:
    return Tensor(0, 'x', shape, type, content, open_axes)


def constant(*shape: int, type: str = 'FLOAT32') -> Tensor:
    return tensor(*shape, type=type, content=b'')


IMAGE, KERNEL, BIAS = tensor(1, 8, 8, 3), constant(4, 3, 3, 3), constant(4)


def convolution(*inputs: Tensor | None, **options: int) -> Operation:
    return Operation(0, 'CONV_2D', 1, inputs, (tensor(1, 8, 8, 4),), {'fusedActivationFunction': 0, **options})


def concatenation(number: int) -> Operation:
    return Operation(0, 'CONCATENATION', 1, (IMAGE,) * number, (tensor(1, 8, 8, 3 * number),))


def mean(*axes: int) -> Operation:
    content = b''.join(axis.to_bytes(4, 'little') for axis in axes)
    return Operation(0, 'MEAN', 1, (IMAGE, tensor(len(axes), type='INT32', content=content)), (tensor(1, 3),))


@pytest.mark.parametrize(
    ('delegate', 'operation', 'reason'),
    [
        (XNNPACK, convolution(IMAGE, KERNEL, BIAS), ''),
        (XNNPACK, convolution(IMAGE, KERNEL, None), 'a bias'),
        (XNNPACK, convolution(IMAGE, tensor(4, 3, 3, 3), BIAS), 'constant kernel and bias'),
        (XNNPACK, convolution(IMAGE, KERNEL, BIAS, fusedActivationFunction=4), 'fused activation NONE or RELU'),
        (XNNPACK, concatenation(4), ''),
        (XNNPACK, concatenation(5), '2 to 4 inputs'),
        (XNNPACK, mean(1, 2), ''),
        (XNNPACK, mean(3), 'a mean over height and width'),
        (XNNPACK, Operation(0, 'CUMSUM', 1, (IMAGE,), (IMAGE,)), 'not in the list'),
        (GPU, convolution(IMAGE, KERNEL, None), ''),
        (GPU, convolution(IMAGE, KERNEL, BIAS, fusedActivationFunction=5), 'fused activation'),
        (GPU, concatenation(5), ''),
        (GPU, Operation(0, 'RELU', 1, (tensor(1, 2, 2, 2, 2),), (tensor(1, 2, 2, 2, 2),)), 'at most 4 axes'),
        (GPU, Operation(0, 'ADD', 1, (IMAGE, tensor(5, 3)), (IMAGE,)), 'shapes that broadcast'),
        (GPU, Operation(0, 'ADD', 1, (IMAGE, tensor(8, 3)), (IMAGE,)), ''),
        (GPU, Operation(0, 'CAST', 1, (tensor(1, type='INT64'),), (tensor(1),)), 'a cast between'),
        (NNAPI, convolution(IMAGE, KERNEL, BIAS), ''),
        (NNAPI, convolution(IMAGE, KERNEL), 'a bias'),
        (NNAPI, Operation(0, 'RELU', 1, (tensor(1, 4, open_axes=(0,)),), (tensor(1, 4),)), 'fixed shapes'),
        (NNAPI, Operation(0, 'GELU', 1, (IMAGE,), (IMAGE,)), 'not in the list'),
        (NNAPI, Operation(0, 'DIV', 2, (IMAGE, IMAGE), (IMAGE,)), 'version 1 or older'),
    ],
)
def test_reasons(delegate, operation, reason):
    found = delegate.why_not(operation)
    assert reason in found and bool(found) == bool(reason)


def test_every_table_names_its_sources():
    for delegate in DELEGATES:
        assert all(re.fullmatch(r'20\d\d-\d\d', source.date) for source in delegate.sources)
        assert all(source.address.startswith('https://') and source.document for source in delegate.sources)


def test_the_gpu_rules_are_those_of_the_native_analyzer(files, graphs):
    for key, path in files.items():
        text = _pywrap_analyzer_wrapper.ModelAnalyzer(str(path), True, True)
        native = {int(each) for line in re.findall(r'issues at nodes ([\d, ]+)', text) for each in line.split(', ')}
        ours = {each.index for each in graphs[key].operations if GPU.why_not(each)}
        # The analyzer does not check the number of axes, which the delegate refuses when it is applied.
        assert native == {number for number in ours if 'axes' not in GPU.why_not(graphs[key].operations[number])}
