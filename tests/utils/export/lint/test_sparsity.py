"""A chain of operations as XNNPACK's sparse kernels need it, and what breaks each rule."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pocketflow.utils.export.lint.graph import FileGraph, Operation, Tensor
from pocketflow.utils.export.lint.sparsity import is_selection, paddings, sparse_inference

SAME, VALID = 0, 1


def tensor(index: int, *shape: int, content: np.ndarray | None = None) -> Tensor:
    kind = 'FLOAT32' if content is None or content.dtype != np.int32 else 'INT32'
    return Tensor(index, f't{index}', shape, kind, None if content is None else content.tobytes())


def convolution(
    index: int, image: Tensor, kernel: Tensor, size: int, stride: int = 1, padding: int = SAME
) -> Operation:
    options = {'strideH': stride, 'strideW': stride, 'padding': padding, 'dilationHFactor': 1, 'dilationWFactor': 1}
    name = 'DEPTHWISE_CONV_2D' if kernel.shape[0] == 1 else 'CONV_2D'
    channels = kernel.shape[3] if kernel.shape[0] == 1 else kernel.shape[0]
    return Operation(index, name, 1, (image, kernel), (tensor(100 + index, 1, size, size, channels),), options)


def pointwise_kernel(index: int, zeros: int) -> tuple[Tensor, list[Operation]]:
    """A kernel of 8 x 8 weights, of which `zeros` are not stored."""
    stored = tensor(index, 8, 1, 1, 8, content=np.ones(64 - zeros, np.float32))
    kernel = dataclasses.replace(tensor(index + 1, 8, 1, 1, 8), is_unpacked=True)
    return kernel, [Operation(90 + index, 'DENSIFY', 1, (dataclasses.replace(stored, is_sparse=True),), (kernel,))]


def network(zeros: int = 48, size: int = 9, padding: int = SAME, end: tuple[int, ...] = (1, 2)) -> FileGraph:
    """A stem, a depthwise and a 1x1 convolution, and a mean."""
    kernel, unpacking = pointwise_kernel(10, zeros)
    half = (size + 1) // 2
    stem = convolution(
        1, tensor(0, 1, size, size, 3), tensor(2, 8, 3, 3, 3, content=np.ones(216, np.float32)), half, 2, padding
    )
    depthwise = convolution(2, stem.outputs[0], tensor(3, 1, 3, 3, 8, content=np.ones(72, np.float32)), half)
    pointwise = convolution(3, depthwise.outputs[0], kernel, half)
    axes = tensor(4, len(end), content=np.array(end, np.int32))
    mean = Operation(4, 'MEAN', 1, (pointwise.outputs[0], axes), (tensor(104, 1, 8),))
    return FileGraph((*unpacking, stem, depthwise, pointwise, mean), (), ())


def test_a_network_that_complies():
    found = sparse_inference(network())
    assert found.zeros == 0.75 and found.failed == ()


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'zeros': 40}, '62 % zeros in the 1x1 convolutions, at least 67 % needed'),
        ({'size': 8}, 'padding of 1 on each side: CONV_2D 3x3, stride 2, padding 0 1 0 1'),
        ({'padding': VALID}, 'padding of 1 on each side: CONV_2D 3x3, stride 2, padding 0 0 0 0'),
        ({'end': (3,)}, 'no mean over height and width'),
    ],
)
def test_what_breaks_a_rule(changes, reason):
    assert any(reason in line for line in sparse_inference(network(**changes)).failed)


@pytest.mark.parametrize('factor', [1.0, 127])
def test_selections_of_channels_have_no_zeros_that_count(factor):
    graph = network()
    selection = (factor * np.eye(8)[[0, 2, 3, 4, 5, 6, 7, 7]]).astype(np.float32)
    kernel = tensor(11, 8, 1, 1, 8, content=selection)
    pointwise = dataclasses.replace(graph.operations[3], inputs=(graph.operations[3].inputs[0], kernel))
    assert sparse_inference(FileGraph((*graph.operations[1:3], pointwise, graph.operations[4]), (), ())) is None


def test_what_is_no_selection():
    for kernel in (np.diag([1.0, 2.0]), np.array([[1, 1], [0, 1]]), np.zeros((2, 2)), np.zeros((0, 2))):
        assert not is_selection(kernel.reshape(len(kernel), 1, 1, 2))
    assert not is_selection(None)


def test_zeros_that_are_stored_densely():
    graph = network()
    values = np.zeros(64, np.float32)
    values[:16] = 1
    dense = tensor(11, 8, 1, 1, 8, content=values)
    pointwise = dataclasses.replace(graph.operations[3], inputs=(graph.operations[3].inputs[0], dense))
    found = sparse_inference(FileGraph((*graph.operations[1:3], pointwise, graph.operations[4]), (), ()))
    assert found.zeros == 0.75 and found.failed == (
        '1 kernels of 1x1 convolutions are stored densely (no DENSIFY operations)',
    )


def test_an_operation_in_between_that_is_not_supported():
    graph = network()
    softmax = Operation(9, 'SOFTMAX', 1, graph.operations[2].outputs, (tensor(109, 1, 5, 5, 8),))
    found = sparse_inference(FileGraph((*graph.operations[:3], softmax, *graph.operations[3:]), (), ()))
    assert found.failed == ('1 operations in between are not of the supported kinds: SOFTMAX',)


def test_files_of_trained_networks_are_not_about_sparsity(graphs):
    assert sparse_inference(network(zeros=10)) is None
    assert all(sparse_inference(graph) is None for graph in graphs.values())


def test_a_padding_operation_belongs_to_the_convolution():
    image = tensor(0, 1, 8, 8, 3)
    amounts = tensor(1, 4, 2, content=np.array([[0, 0], [1, 1], [1, 2], [0, 0]], np.int32))
    pad = Operation(0, 'PAD', 1, (image, amounts), (tensor(5, 1, 10, 11, 3),))
    stem = convolution(1, pad.outputs[0], tensor(2, 8, 3, 3, 3), 4, 2, VALID)
    assert paddings(stem, {5: pad}) == (1, 1, 1, 2)
