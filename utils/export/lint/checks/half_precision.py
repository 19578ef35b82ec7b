"""Checks of float16 arithmetic, which GPUs use by default: values and sums beyond 65504 become infinite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pocketflow.utils.export.lint.findings import CHECKS, Finding, Subject, places_of
from pocketflow.utils.export.lint.graph import FileGraph, Operation, Tensor
from pocketflow.utils.export.lint.rules.conditions import QUANTIZED

LARGEST_HALF = 65504.0
"""Largest finite float16 number (IEEE 754 binary16): (2 - 2^-10) * 2^15."""
_SQUARES = ('SQUARED_DIFFERENCE', 'SQUARE', 'MUL', 'POW')
_ROOTS = ('RSQRT', 'SQRT')
_INFORMATION = {'INT8': (-128, 127), 'UINT8': (0, 255)}


def extreme_of_codes(tensor: Tensor) -> float:
    """The largest absolute value that a quantized tensor can hold: `scale * max |code - zero point|`.

    >>> extreme_of_codes(Tensor(0, 'x', (1, 4), 'INT8', scales=(0.5,), zero_points=(-128,)))
    127.5
    """
    low, high = _INFORMATION[tensor.type]
    zero_point = tensor.zero_points[0] if tensor.zero_points else 0
    return tensor.scales[0] * max(abs(low - zero_point), abs(high - zero_point))


def known_extremes(subject: Subject) -> dict[int, float]:
    """Tensor -> its largest absolute value, as far as it is known: from samples, or from the quantization."""
    tensors = [tensor for operation in subject.graph.operations for tensor in operation.outputs]
    from_codes = {
        tensor.index: extreme_of_codes(tensor)
        for tensor in tensors
        if tensor.type in QUANTIZED and len(tensor.scales) == 1
    }
    return {**from_codes, **(subject.extremes or {})}


@CHECKS.register('fp16-range')
def ranges(subject: Subject) -> Iterator[Finding]:
    """Activations beyond the largest float16 number."""
    extremes, inputs = known_extremes(subject), {tensor.index for tensor in subject.graph.inputs}
    # Computed tensors belong to the operation that writes them, those of the caller to the one that reads them.
    pairs = [
        (operation, extremes.get(tensor.index, 0.0))
        for operation in subject.graph.operations
        for tensor in (*operation.outputs, *(each for each in operation.runtime_inputs if each.index in inputs))
    ]
    found = [operation for operation, extreme in pairs if extreme > LARGEST_HALF]
    if found:
        largest = max(extreme for _, extreme in pairs)
        yield Finding(
            'fp16-range',
            'GPU',
            f'activations of up to {largest:.3g}: float16 ends at {LARGEST_HALF:.0f}, GPUs compute infinity',
            len(found),
            places_of(found),
            'scale the weights of the layer before, insert a batch norm, or run the GPU delegate in float32',
        )


@CHECKS.register('fp16-sum')
def sums(subject: Subject) -> Iterator[Finding]:
    """Means and sums over windows whose sum exceeds float16 although the result does not."""
    known = {**window_sums(subject.graph, known_extremes(subject)), **(subject.sums or {})}
    found = [operation for operation in subject.graph.operations if known.get(operation.index, 0.0) > LARGEST_HALF]
    if found:
        yield Finding(
            'fp16-sum',
            'GPU',
            f'sums of up to {max(known[operation.index] for operation in found):.3g} over a window: float16 '
            f'accumulators end at {LARGEST_HALF:.0f}',
            len(found),
            places_of(found),
            'pool in two steps (an average over small windows first), or run the GPU delegate in float32',
        )


def window_sums(graph: FileGraph, extremes: Mapping[int, float]) -> dict[int, float]:
    """Reducing operation -> a bound of its sums: elements of the window times the largest value.

    For quantized files, whose ranges were calibrated on data: where the samples are at hand, their own sums are used.
    """
    return {
        operation.index: window_size(operation) * extremes[operation.inputs[0].index]
        for operation in graph.operations
        if operation.name in REDUCTIONS and operation.inputs[0] and operation.inputs[0].index in extremes
    }


REDUCTIONS = ('MEAN', 'SUM', 'AVERAGE_POOL_2D')


def window_size(operation: Operation) -> int:
    """Number of elements in each sum of a mean, a sum, or an average pooling."""
    if operation.name == 'AVERAGE_POOL_2D':
        return int(operation.options['filterHeight'] * operation.options['filterWidth'])
    image = operation.inputs[0]
    return image.size // max(operation.outputs[0].size, 1) if image else 1


@CHECKS.register('layer-norm')
def layer_norm(subject: Subject) -> Iterator[Finding]:
    """Normalizations composed of MEAN, SUB, squares and RSQRT, whose squares overflow in float16."""
    producers = subject.graph.producers()
    found = [
        operation
        for operation in subject.graph.operations
        if operation.name in _ROOTS and _is_of_variance(operation, producers)
    ]
    if found:
        yield Finding(
            'layer-norm',
            'GPU',
            'layer or group normalization composed of means and squares: deviations of 256 and more overflow in the '
            'square (256 * 256 = 65536), and the layer then gives zeros',
            len(found),
            places_of(found),
            'scale the deviations before they are squared',
            'gpu',
        )


def _is_of_variance(root: Operation, producers: Mapping[int, Operation]) -> bool:
    """Whether a root is of a mean of squares of deviations from a mean (plus a constant)."""
    mean = _before(root, producers, ('MEAN', 'SUM'), through=('ADD', 'MAXIMUM', 'MUL', 'RESHAPE'))
    square = mean and _before(mean, producers, _SQUARES, through=('RESHAPE',))
    if not square:
        return False
    return any(
        _before(square, producers, ('MEAN', 'SUM'), through=('SUB', 'MUL', 'RESHAPE', 'NEG', 'ADD'), number=number)
        for number in range(len(square.inputs))
    )


def _before(
    operation: Operation,
    producers: Mapping[int, Operation],
    wanted: Sequence[str],
    through: Sequence[str],
    number: int | None = None,
    steps: int = 3,
) -> Operation | None:
    """An operation of a wanted kind among those that compute the inputs, at most `steps` operations `through` away."""
    inputs = operation.inputs if number is None else operation.inputs[number : number + 1]
    for tensor in inputs:
        maker = None if tensor is None else producers.get(tensor.index)
        if maker is None:
            continue
        if maker.name in wanted:
            return maker
        if steps and maker.name in through and (found := _before(maker, producers, wanted, through, None, steps - 1)):
            return found
    return None
