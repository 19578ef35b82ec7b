"""Checks of the operations: numbers of inputs, axes, shapes, activations."""

from __future__ import annotations

from collections.abc import Iterator

from pocketflow.utils.export.lint.findings import CHECKS, Finding, Subject, places_of
from pocketflow.utils.export.lint.graph import Operation
from pocketflow.utils.export.lint.rules.conditions import ACTIVATIONS, axes

MOST_PARTS = 4
"""Inputs of a concatenation, or outputs of a split, that XNNPACK's documentation allows."""
LARGEST_RANK = 4
ACTIVATION_OPERATIONS = (
    *('ELU', 'EXP', 'GELU', 'HARD_SWISH', 'LEAKY_RELU', 'LOGISTIC', 'PRELU', 'RELU', 'RELU6', 'RELU_0_TO_1'),
    *('RELU_N1_TO_1', 'SOFTMAX', 'LOG_SOFTMAX', 'TANH'),
)
_CONTROL_FLOW = ('IF', 'WHILE', 'CALL_ONCE')
_RESHAPES = ('RESHAPE', 'EXPAND_DIMS', 'SQUEEZE')


@CHECKS.register('many-inputs')
def many_inputs(subject: Subject) -> Iterator[Finding]:
    """Concatenations of more than four tensors, and splits into more."""
    found = [
        operation
        for operation in subject.graph.operations
        if (operation.name == 'CONCATENATION' and len(operation.inputs) > MOST_PARTS)
        or (operation.name in ('SPLIT', 'SPLIT_V') and len(operation.outputs) > MOST_PARTS)
    ]
    if found:
        most = max(max(len(operation.inputs), len(operation.outputs)) for operation in found)
        yield Finding(
            'many-inputs',
            'GPU, XNNPACK',
            f'concatenation or split of up to {most} tensors; the documented limit is {MOST_PARTS}, and GPU kernels '
            'take as many as they have image arguments',
            len(found),
            places_of(found),
            f'concatenate in steps of at most {MOST_PARTS} tensors',
            'gpu' if all(operation.name == 'CONCATENATION' for operation in found) else '',
        )


@CHECKS.register('mean-axes')
def mean_axes(subject: Subject) -> Iterator[Finding]:
    """Means over other axes than height and width of feature maps."""
    found = [
        operation
        for operation in subject.graph.operations
        if operation.name == 'MEAN' and not _is_mean_of_maps(operation)
    ]
    of_sequences = [operation for operation in found if _is_mean_of_sequence(operation)]
    others = [operation for operation in found if not _is_mean_of_sequence(operation)]
    for operations, what, rewrite in (
        (of_sequences, 'mean over the steps of a sequence [batch, steps, channels]', 'gpu'),
        (others, 'mean over other axes than height and width of [batch, height, width, channels]', ''),
    ):
        if operations:
            yield Finding(
                'mean-axes',
                'GPU (OpenGL), XNNPACK',
                what,
                len(operations),
                places_of(operations),
                'reshape to [batch, height, width, channels] and average over height and width',
                rewrite,
            )


def _is_mean_of_maps(operation: Operation) -> bool:
    image = operation.input(0)
    return image is not None and image.rank == LARGEST_RANK and axes(operation) == (1, 2)


def _is_mean_of_sequence(operation: Operation) -> bool:
    image = operation.input(0)
    return image is not None and image.rank == 3 and axes(operation) == (1,)


@CHECKS.register('dynamic-shapes')
def dynamic_shapes(subject: Subject) -> Iterator[Finding]:
    """Tensors with open axes, and control flow."""
    found = [operation for operation in subject.graph.operations if _has_open_axes(operation)]
    if found:
        yield Finding(
            'dynamic-shapes',
            'GPU, NPU',
            'tensors with open axes: delegates compile graphs of fixed shapes',
            len(found),
            places_of(found),
            'convert with a fixed input shape, a batch of one included',
        )
    flow = [operation for operation in subject.graph.operations if operation.name in _CONTROL_FLOW]
    if flow:
        yield Finding(
            'dynamic-shapes',
            'GPU, NPU',
            f'control flow with {subject.graph.num_other_operations} operations in other subgraphs, which no delegate '
            'runs as a whole',
            len(flow),
            places_of(flow),
            'build recurrent layers with unroll=True; replace conditions by multiplications',
        )


def _has_open_axes(operation: Operation) -> bool:
    return any(tensor.open_axes for tensor in (*operation.runtime_inputs, *operation.outputs))


@CHECKS.register('missing-bias')
def missing_bias(subject: Subject) -> Iterator[Finding]:
    """Convolutions and matrix products without a bias."""
    place = {'CONV_2D': 2, 'DEPTHWISE_CONV_2D': 2, 'FULLY_CONNECTED': 2, 'TRANSPOSE_CONV': 3}
    found = [
        operation
        for operation in subject.graph.operations
        if operation.name in place and operation.input(place[operation.name]) is None
    ]
    if found:
        yield Finding(
            'missing-bias',
            'NPU',
            f'{_names(found)} without a bias, which some NPU delegates require as an operand; the converter drops '
            'biases that are zero',
            len(found),
            places_of(found),
            'harmless after training, which gives biases values; else keep use_bias=True',
        )


@CHECKS.register('rank')
def rank(subject: Subject) -> Iterator[Finding]:
    """Tensors of more than four axes."""
    found = [
        operation
        for operation in subject.graph.operations
        if any(tensor.rank > LARGEST_RANK for tensor in (*operation.runtime_inputs, *operation.outputs))
    ]
    if found:
        yield Finding(
            'rank',
            'GPU, NPU',
            f'tensors of more than {LARGEST_RANK} axes; GPUs and NPUs have [batch, height, width, channels]',
            len(found),
            places_of(found),
            'merge axes by a reshape before these layers, or split heads and groups into separate tensors',
        )


@CHECKS.register('convolution-1d')
def convolution_1d(subject: Subject) -> Iterator[Finding]:
    """1D convolutions, which the converter writes as a reshape, a 2D convolution of height 1, and a reshape."""
    graph = subject.graph
    producers, readers = graph.producers(), graph.readers()
    found = [
        operation
        for operation in graph.operations
        if operation.name in ('CONV_2D', 'DEPTHWISE_CONV_2D') and _is_between_reshapes(operation, producers, readers)
    ]
    if found:
        yield Finding(
            'convolution-1d',
            'GPU, NPU',
            '1D convolutions: each is a 2D one of height 1 between two reshapes, which copy the tensor',
            len(found),
            places_of(found),
            'build the network from Conv2D with kernels (1, k) on inputs [batch, 1, steps, channels]',
        )


def _is_between_reshapes(
    operation: Operation, producers: dict[int, Operation], readers: dict[int, list[Operation]]
) -> bool:
    image = operation.input(0)
    if image is None or image.rank != 4 or 1 not in image.shape[1:3]:
        return False
    before, behind = producers.get(image.index), readers.get(operation.outputs[0].index, [])
    return before is not None and before.name in _RESHAPES and any(reader.name in _RESHAPES for reader in behind)


@CHECKS.register('activations')
def activations(subject: Subject) -> Iterator[Finding]:
    """Activations that a delegate does not take, fused ones included."""
    for title, reasons in subject.reasons.items():
        found = [
            operation
            for operation in subject.graph.operations
            if operation.index in reasons
            and not _has_open_axes(operation)
            and (operation.name in ACTIVATION_OPERATIONS or 'fused activation' in reasons[operation.index])
        ]
        if found:
            names = {
                operation.name
                if operation.name in ACTIVATION_OPERATIONS
                else f'fused {ACTIVATIONS[operation.options["fusedActivationFunction"]]}'
                for operation in found
            }
            yield Finding(
                'activations',
                title,
                f'activations that {title} does not run: {", ".join(sorted(names))}',
                len(found),
                places_of(found),
                'use ReLU or ReLU6 inside the network; a softmax at the end costs next to nothing on the CPU '
                '(--export_head=logits leaves it out)',
            )


def _names(operations: list[Operation]) -> str:
    return ', '.join(sorted({operation.name for operation in operations}))
