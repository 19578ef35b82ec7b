"""Conditions that occur in the rules of several delegates."""

from __future__ import annotations

from collections.abc import Collection

from pocketflow.utils.export.lint.graph import Operation, Tensor
from pocketflow.utils.export.lint.rules.rule import Condition

FLOAT = frozenset({'FLOAT32', 'FLOAT16'})
QUANTIZED = frozenset({'INT8', 'UINT8'})
ACTIVATIONS = {0: 'NONE', 1: 'RELU', 2: 'RELU_N1_TO_1', 3: 'RELU6', 4: 'TANH', 5: 'SIGN_BIT'}
"""Names of the fused activations by their codes in the schema."""


def types_in(accepted: Collection[str], number: int = 0) -> Condition:
    """The input of that number has one of the types, given by their names in the schema."""
    return Condition(
        f'{_input(number)} of type {_either(accepted)}', lambda operation: _tensor(operation, number).type in accepted
    )


def output_types_in(accepted: Collection[str]) -> Condition:
    return Condition(f'an output of type {_either(accepted)}', lambda operation: operation.outputs[0].type in accepted)


def same_kind(*kinds: Collection[str]) -> Condition:
    """The first input and the output have types of the same one of these sets: float, or 8-bit quantized."""
    return Condition(
        f'input and output both of type {" or both of type ".join(map(_either, kinds))}',
        lambda operation: any(
            _tensor(operation, 0).type in kind and operation.outputs[0].type in kind for kind in kinds
        ),
    )


def constant(*numbers: int, name: str) -> Condition:
    """The inputs of these numbers are constants, or left out."""
    return Condition(
        f'constant {name}',
        lambda operation: all(
            tensor is None or tensor.is_constant for tensor in (operation.input(number) for number in numbers)
        ),
    )


def has_input(number: int, name: str) -> Condition:
    return Condition(f'a {name}', lambda operation: operation.input(number) is not None)


def num_inputs(low: int, high: int) -> Condition:
    text = f'{low} inputs' if low == high else f'{low} to {high} inputs'
    return Condition(text, lambda operation: low <= len(operation.inputs) <= high)


def num_outputs(low: int, high: int) -> Condition:
    text = 'one output' if low == high == 1 else f'{low} to {high} outputs'
    return Condition(text, lambda operation: low <= len(operation.outputs) <= high)


def num_runtime_inputs(*accepted: int) -> Condition:
    """That many of the inputs are not constant."""
    return Condition(
        f'{" or ".join(map(str, accepted))} input{"" if accepted == (1,) else "s"} that '
        f'{"is" if accepted == (1,) else "are"} no constant',
        lambda operation: len(operation.runtime_inputs) in accepted,
    )


def activation_in(*codes: int) -> Condition:
    """The fused activation is one of these; operations without that option have none."""
    return Condition(
        f'fused activation {_either([ACTIVATIONS[code] for code in codes])}',
        lambda operation: operation.options.get('fusedActivationFunction', 0) in codes,
    )


def option_in(name: str, *accepted: float) -> Condition:
    return Condition(
        f'{name} {" or ".join(map(str, accepted))}', lambda operation: operation.options.get(name) in accepted
    )


def ranks_in(*accepted: int, number: int = 0) -> Condition:
    return Condition(
        f'{_input(number)} of rank {" or ".join(map(str, accepted))}',
        lambda operation: _tensor(operation, number).rank in accepted,
    )


def ranks_at_most(rank: int) -> Condition:
    """No tensor that is computed at run time has more axes."""
    return Condition(
        f'tensors of at most {rank} axes',
        lambda operation: all(tensor.rank <= rank for tensor in (*operation.runtime_inputs, *operation.outputs)),
    )


def version_at_most(version: int) -> Condition:
    return Condition(f'version {version} or older of the operation', lambda operation: operation.version <= version)


def has_fixed_shapes() -> Condition:
    """No tensor has an open axis; the batch axis of files counts as open only if it is so in the file."""
    return Condition(
        'fixed shapes',
        lambda operation: not any(tensor.open_axes for tensor in (*operation.runtime_inputs, *operation.outputs)),
    )


def axes(operation: Operation, number: int = 1) -> tuple[int, ...] | None:
    """The reduced axes in [0, rank), sorted; None if they are not constant."""
    tensor = operation.input(number)
    values = None if tensor is None else tensor.values()
    rank = _tensor(operation, 0).rank
    return None if values is None else tuple(sorted({int(axis) % max(rank, 1) for axis in values.reshape(-1)}))


def is_hybrid(operation: Operation) -> bool:
    """Whether an operation multiplies float activations with integer weights (dynamic-range quantization)."""
    kernel = operation.input(1)
    return kernel is not None and kernel.type in (*QUANTIZED, 'INT4') and _tensor(operation, 0).type in FLOAT


def _tensor(operation: Operation, number: int) -> Tensor:
    tensor = operation.input(number)
    if tensor is None:
        raise IndexError(number)
    return tensor


def _input(number: int) -> str:
    return 'an input' if number == 0 else f'input {number}'


def _either(names: Collection[str]) -> str:
    return ' or '.join(sorted(names) if isinstance(names, (set, frozenset)) else names)
