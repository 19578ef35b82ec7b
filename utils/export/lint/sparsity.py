"""Whether XNNPACK's sparse kernels apply to a file with many zeros.

Elsen et al. 2020, Fast Sparse ConvNets, https://arxiv.org/abs/1911.09723. The rules are those of the section "Sparse
Inference" of XNNPACK's documentation (`pocketflow.utils.export.lint.rules.xnnpack.SOURCE`). A file that complies is
computed sparsely on ARM; on x86, only by processors without AVX (XNNPACK's maintainer in
https://github.com/google/XNNPACK/issues/3170).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pocketflow.utils.export.lint.graph import FileGraph, Operation, Tensor
from pocketflow.utils.export.lint.rules.conditions import axes

LEAST_ZEROS = 2 / 3
"""Share of zeros in the 1x1 convolutions from which XNNPACK considers sparse kernels."""
REPORTED_FROM = 0.3
"""Share of zeros from which the rules are reported: files of trained networks have next to none."""
_ELEMENTWISE = (
    *('ABS', 'CEIL', 'ELU', 'FLOOR', 'HARD_SWISH', 'LEAKY_RELU', 'LOGISTIC', 'NEG', 'RELU', 'RELU6'),
    *('RELU_N1_TO_1', 'ROUND', 'SQUARE'),
)
_SAME = 0
"""Code of the padding SAME in the schema."""


@dataclasses.dataclass(frozen=True)
class SparseInference:
    """The rules of sparse inference for one file.

    Attributes:
      zeros: share of zeros in the kernels of its 1x1 convolutions.
      failed: the rules that do not hold, in words; empty if the sparse kernels apply.
    """

    zeros: float
    failed: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {'zeros': round(self.zeros, 4), 'failed': list(self.failed)}


def sparse_inference(graph: FileGraph) -> SparseInference | None:
    """The rules of sparse inference for a file; None for one without 1x1 convolutions that have many zeros.

    Selections of channels, which pruned networks have, do not count: nobody made them sparse, and they are small.
    """
    producers = graph.producers()
    pointwise = [
        operation
        for operation in graph.operations
        if _is_pointwise(operation) and not is_selection(_kernel(operation).values())
    ]
    sizes = [_kernel(operation).size for operation in pointwise]
    zeros = sum(_num_zeros(_kernel(operation), producers) for operation in pointwise)
    share = zeros / sum(sizes) if sizes else 0.0
    if share < REPORTED_FROM:
        return None
    return SparseInference(share, tuple(_failed(graph, producers, pointwise, share)))


def _failed(
    graph: FileGraph, producers: Mapping[int, Operation], pointwise: Sequence[Operation], share: float
) -> list[str]:
    failed = []
    if share < LEAST_ZEROS:
        failed.append(f'{100 * share:.0f} % zeros in the 1x1 convolutions, at least {100 * LEAST_ZEROS:.0f} % needed')
    dense = [operation for operation in pointwise if not _is_stored_sparsely(_kernel(operation), producers)]
    if dense:
        failed.append(f'{len(dense)} kernels of 1x1 convolutions are stored densely (no DENSIFY operations)')
    computing = [operation for operation in graph.operations if operation.name not in ('DENSIFY', 'DEQUANTIZE')]
    start = next((number for number, each in enumerate(computing) if each.name == 'CONV_2D'), None)
    ends = [number for number, each in enumerate(computing) if _is_end(each)]
    if start is None or not _is_stem(computing[start], producers):
        failed.append(
            'the network does not begin with a float 3x3 convolution of stride 2 on 3 channels with a padding of 1 on '
            'each side' + (f': {_shape_words(computing[start], producers)}' if start is not None else '')
        )
    if not ends:
        failed.append('there is no mean over height and width, and no DEPTH_TO_SPACE, at the end')
    between = computing[(start or 0) + 1 : ends[-1] if ends else len(computing)]
    others = [operation for operation in between if not _is_allowed(operation, producers, between)]
    if others:
        counted = dict.fromkeys(_shape_words(operation, producers) for operation in others)
        shown = '; '.join([*counted][:3]) + ('; ...' if len(counted) > 3 else '')
        failed.append(f'{len(others)} operations in between are not of the supported kinds: {shown}')
    return failed


def _is_pointwise(operation: Operation) -> bool:
    return (
        operation.name == 'CONV_2D' and len(_kernel(operation).shape) == 4 and _kernel(operation).shape[1:3] == (1, 1)
    )


def is_selection(kernel: np.ndarray | None) -> bool:
    """Whether a kernel `[outputs, 1, 1, inputs]` passes on one channel per output, all with one factor.

    >>> is_selection(np.array([[0, 1, 0], [0, 0, 1]]).reshape(2, 1, 1, 3))
    True
    """
    if kernel is None or not kernel.size:
        return False
    rows = kernel.reshape(kernel.shape[0], -1)
    return bool((np.count_nonzero(rows, axis=1) == 1).all() and np.unique(rows[rows != 0]).size == 1)


def _kernel(operation: Operation) -> Tensor:
    kernel = operation.input(1)
    assert kernel is not None, 'the operation has a kernel'
    return kernel


def _num_zeros(kernel: Tensor, producers: Mapping[int, Operation]) -> int:
    """Zeros of a kernel; of one that is stored sparsely, the elements that are not stored."""
    values = kernel.values()
    if values is not None:
        return int(kernel.size - np.count_nonzero(values))
    maker = producers.get(kernel.index)
    stored = maker and maker.input(0)
    if not stored or stored.content is None:
        return 0
    if maker is not None and maker.name == 'DEQUANTIZE':
        return int(stored.size - np.count_nonzero(unpacked)) if (unpacked := stored.values()) is not None else 0
    width = {'FLOAT32': 4, 'FLOAT16': 2, 'INT8': 1}.get(stored.type, 4)
    return max(kernel.size - len(stored.content) // width, 0)


def _is_stored_sparsely(kernel: Tensor, producers: Mapping[int, Operation]) -> bool:
    maker = producers.get(kernel.index)
    return kernel.is_sparse or (maker is not None and maker.name == 'DENSIFY')


def _is_end(operation: Operation) -> bool:
    image = operation.input(0)
    is_mean = operation.name == 'MEAN' and image is not None and image.rank == 4 and axes(operation) == (1, 2)
    return is_mean or operation.name == 'DEPTH_TO_SPACE'


def _is_stem(operation: Operation, producers: Mapping[int, Operation]) -> bool:
    kernel, image = _kernel(operation), operation.input(0)
    return (
        kernel.shape[1:] == (3, 3, 3)
        and image is not None
        and image.type == 'FLOAT32'
        and _strides(operation) == (2, 2)
        and _is_undilated(operation)
        and paddings(operation, producers) == (1, 1, 1, 1)
    )


def _is_allowed(operation: Operation, producers: Mapping[int, Operation], others: Sequence[Operation]) -> bool:
    image = operation.input(0)
    if image is None or image.type != 'FLOAT32':
        return False
    if operation.name == 'CONV_2D':
        return (
            _kernel(operation).shape[1:3] == (1, 1)
            and _strides(operation) == (1, 1)
            and paddings(operation, producers) == (0, 0, 0, 0)
        )
    if operation.name == 'DEPTHWISE_CONV_2D':
        size = _kernel(operation).shape[1:3]
        strides_fit = _strides(operation) in ((1, 1), (2, 2)) and _is_undilated(operation)
        return size in ((3, 3), (5, 5)) and strides_fit and set(paddings(operation, producers)) == {size[0] // 2}
    if operation.name == 'PAD':  # the padding of the convolution that reads it
        read_by = [each for each in others if operation.outputs[0].index in [t.index for t in each.inputs if t]]
        return bool(read_by) and all(each.name in ('CONV_2D', 'DEPTHWISE_CONV_2D') for each in read_by)
    if operation.name in ('ADD', 'MUL'):
        return all(tensor.rank == 4 for tensor in operation.runtime_inputs)
    return operation.name in _ELEMENTWISE or _is_end(operation) or operation.name == 'RESIZE_BILINEAR'


def _strides(operation: Operation) -> tuple[int, int]:
    return operation.options['strideH'], operation.options['strideW']


def _is_undilated(operation: Operation) -> bool:
    return bool(operation.options['dilationHFactor'] == operation.options['dilationWFactor'] == 1)


def paddings(operation: Operation, producers: Mapping[int, Operation]) -> tuple[int, ...]:
    """Padding (top, bottom, left, right) of a convolution, with that of a PAD operation before it.

    SAME pads `max((outputs - 1) * stride + size - inputs, 0)` elements along an axis, the odd one at the end: with a
    stride of 2, a 3x3 kernel has a padding of 1 on each side only for an odd number of inputs.
    """
    image, kernel = operation.inputs[0], _kernel(operation)
    assert image is not None, 'a convolution has an input'
    found = [0, 0, 0, 0]
    if operation.options['padding'] == _SAME:
        for axis, stride in enumerate(_strides(operation)):
            outputs, size = operation.outputs[0].shape[1 + axis], kernel.shape[1 + axis]
            total = max((outputs - 1) * stride + size - image.shape[1 + axis], 0)
            found[2 * axis : 2 * axis + 2] = total // 2, total - total // 2
    before = producers.get(image.index)
    amounts = before.input(1) if before is not None and before.name == 'PAD' else None
    values = None if amounts is None else amounts.values()
    if values is not None and values.shape == (4, 2):
        found = [old + int(new) for old, new in zip(found, values[1:3].reshape(-1), strict=True)]
    return tuple(found)


def _shape_words(operation: Operation, producers: Mapping[int, Operation]) -> str:
    """`CONV_2D 3x3, stride 2, padding 0 1 0 1`, or the name of another operation."""
    if operation.name not in ('CONV_2D', 'DEPTHWISE_CONV_2D'):
        return operation.name
    height, width = _kernel(operation).shape[1:3]
    pads = ' '.join(map(str, paddings(operation, producers)))
    return f'{operation.name} {height}x{width}, stride {_strides(operation)[0]}, padding {pads} (top bottom left right)'
