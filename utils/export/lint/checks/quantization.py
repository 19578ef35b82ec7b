"""Checks of quantized files: float operations between integer ones, and integer weights for float activations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pocketflow.utils.export.lint.findings import CHECKS, Finding, Subject, places_of
from pocketflow.utils.export.lint.graph import Operation
from pocketflow.utils.export.lint.rules.conditions import FLOAT, QUANTIZED, is_hybrid

_CONVERSIONS = ('QUANTIZE', 'DEQUANTIZE')


@CHECKS.register('hybrid')
def hybrid(subject: Subject) -> Iterator[Finding]:
    """Integer weights with float activations: the format `dynamic`."""
    found = [operation for operation in subject.graph.operations if operation.name in _KERNELS and is_hybrid(operation)]
    if found:
        counts = Counter(operation.name for operation in found)
        named = ', '.join(f'{count} {name}' for name, count in sorted(counts.items()))
        yield Finding(
            'hybrid',
            'NPU, GPU, XNNPACK',
            f'int8 weights with float activations ({named}): quantized at run time on CPUs, refused by NPU delegates, '
            'unpacked to float by GPUs',
            len(found),
            places_of(found),
            'export int8 with calibration data for NPUs, float16 for GPUs',
        )


_KERNELS = ('CONV_2D', 'DEPTHWISE_CONV_2D', 'FULLY_CONNECTED', 'TRANSPOSE_CONV', 'BATCH_MATMUL', 'CONV_3D')


@CHECKS.register('float-islands')
def float_islands(subject: Subject) -> Iterator[Finding]:
    """Float operations in a graph of integers, between DEQUANTIZE and QUANTIZE."""
    operations = subject.graph.operations
    integers = [operation for operation in operations if operation.outputs and operation.outputs[0].type in QUANTIZED]
    islands = [
        operation
        for operation in operations
        if operation.name not in _CONVERSIONS and integers and _computes_in_float(operation)
    ]
    if islands and any(operation.name in _KERNELS for operation in integers):
        counts = Counter(operation.name for operation in islands)
        named = ', '.join(f'{count} {name}' for name, count in sorted(counts.items()))
        conversions = sum(operation.name in _CONVERSIONS for operation in operations)
        yield Finding(
            'float-islands',
            'NPU',
            f'float operations in an int8 graph ({named}), with {conversions} conversions around them: each island '
            'leaves an integer-only NPU and comes back',
            len(islands),
            places_of(islands),
            'replace these layers by ones with an int8 kernel, or keep them at the end of the network',
        )


def _computes_in_float(operation: Operation) -> bool:
    tensors = [*operation.runtime_inputs, *operation.outputs]
    return bool(tensors) and all(tensor.type in FLOAT for tensor in tensors)
