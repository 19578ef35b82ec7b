"""The GPU delegate of LiteRT (OpenCL, Metal, OpenGL): the checks that it publishes.

TensorFlow's and LiteRT's model analyzers contain the same checks as native code; a test compares the two.
"""

from __future__ import annotations

from pocketflow.utils.export.lint.graph import Operation, Tensor
from pocketflow.utils.export.lint.rules.conditions import (
    activation_in,
    num_inputs,
    num_outputs,
    num_runtime_inputs,
    option_in,
    ranks_at_most,
    ranks_in,
    types_in,
)
from pocketflow.utils.export.lint.rules.rule import Condition, DelegateRules, Source, rules_for

SOURCES = (
    Source(
        'GPU delegates for LiteRT: GPU ML operations support',
        'https://ai.google.dev/edge/litert/performance/gpu',
        '2026-11',
    ),
    Source(
        'LiteRT, tflite/tools/versioning/gpu_compatibility.cc, and tflite/delegates/gpu/common/model_builder_helper.cc',
        'https://github.com/google-ai-edge/LiteRT/blob/main/tflite/tools/versioning/gpu_compatibility.cc',
        '2026-11',
    ),
)
_FUSED = activation_in(0, 1, 2, 3, 4)
_ONE = (num_runtime_inputs(1), num_outputs(1, 1))


def _broadcasts(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    """Whether two shapes broadcast as in NumPy, if both have several axes and not the same number of them."""
    if min(len(first), len(second)) < 2 or len(first) == len(second):
        return True
    return all(a == b or 1 in (a, b) for a, b in zip(reversed(first), reversed(second), strict=False))


def _shapes(operation: Operation) -> list[tuple[int, ...]]:
    return [tensor.shape for tensor in operation.inputs if tensor is not None]


_BROADCAST = Condition('shapes that broadcast', lambda operation: _broadcasts(*_shapes(operation)[:2]))


def _is_depthwise(operation: Operation) -> bool:
    image, kernel, result = operation.inputs[0], operation.inputs[1], operation.outputs[0]
    assert image is not None and kernel is not None, 'the runtime loads no other depthwise convolution'
    bias = operation.input(2)
    return (
        image.rank == kernel.rank == result.rank == 4
        and image.shape[0] == result.shape[0]
        and kernel.shape[3] == result.shape[3] == image.shape[3] * operation.options.get('depthMultiplier', 1)
        and (bias is None or bias.size == result.shape[3])
    )


_DEPTHWISE = Condition('channels of input, kernel and output that fit the depth multiplier', _is_depthwise)
_CONVOLUTION = (num_runtime_inputs(1, 2), num_outputs(1, 1))


def _is_cast(operation: Operation) -> bool:
    kinds = (operation.inputs[0].type if operation.inputs[0] else '', operation.outputs[0].type)
    one_is_bool = 'BOOL' in kinds and any(kind in ('FLOAT16', 'FLOAT32') for kind in kinds)
    return one_is_bool or all(kind in ('FLOAT32', 'INT32') for kind in kinds)


def _has_constant_axes(operation: Operation) -> bool:
    tensor = operation.input(1)
    return tensor is not None and tensor.is_constant and tensor.type == 'INT32'


_AXES = Condition('constant int32 axes', _has_constant_axes)


def _pads(operation: Operation) -> bool:
    paddings = operation.input(1)
    return paddings is not None and paddings.shape in ((3, 2), (4, 2))


_PADS = Condition('paddings of 3 or 4 axes', _pads)


def _selects(operation: Operation) -> bool:
    condition, *choices = operation.inputs
    result = operation.outputs[0].shape
    return (
        condition is not None
        and condition.type in ('BOOL', 'FLOAT16', 'FLOAT32')
        and len(choices) == 2
        and all(choice is not None and _is_choice(choice, result) for choice in choices)
    )


def _is_choice(tensor: Tensor, result: tuple[int, ...]) -> bool:
    fits = tensor.shape in ((), result) or (tensor.rank == 1 and tensor.shape[0] == 1)
    return fits and not (tensor.is_constant and tensor.rank == 2)


_GATHERS = (ranks_in(1, number=1), types_in({'INT32'}, 1))
_KEEPS_RANK = Condition(
    'an output with as many axes as the input, if keep_num_dims is set',
    lambda operation: (
        not operation.options.get('keepNumDims')
        or (operation.inputs[0] is not None and operation.inputs[0].rank == operation.outputs[0].rank)
    ),
)
_BLOCK = Condition('a block size above 1', lambda operation: operation.options.get('blockSize', 0) > 1)
_CORNERS = Condition(
    'not both align_corners and half_pixel_centers',
    lambda operation: not (operation.options.get('alignCorners') and operation.options.get('halfPixelCenters')),
)
_ELEMENTWISE = (
    Condition(
        'two operands, at most one of them constant',
        lambda operation: len(operation.inputs) == 2 and len(operation.runtime_inputs) in (1, 2),
    ),
    num_outputs(1, 1),
    _FUSED,
)
_NO_CONSTANTS = (
    Condition(
        'one input, which is no constant', lambda operation: len(operation.inputs) == len(operation.runtime_inputs) == 1
    ),
    num_outputs(1, 1),
)
_NO_MASKS = tuple(option_in(name, 0) for name in ('ellipsisMask', 'newAxisMask', 'shrinkAxisMask'))

GPU = DelegateRules(
    'gpu',
    'GPU',
    SOURCES,
    {
        **rules_for(('ADD', 'MUL'), num_inputs(2, 2), _BROADCAST),
        'ADD_N': (num_inputs(2, 2),),
        **rules_for(('AVERAGE_POOL_2D', 'MAX_POOL_2D'), *_ONE, _FUSED),
        'BATCH_MATMUL': (num_inputs(2, 2), num_outputs(1, 1)),
        'CAST': (*_ONE, Condition('a cast between float and bool, or between float32 and int32', _is_cast)),
        **rules_for(
            ('CONCATENATION', 'PACK', 'SPLIT', 'SPLIT_V', 'PRELU', 'RELU', 'RELU6', 'RELU_N1_TO_1', 'LEAKY_RELU')
        ),
        'CONV_2D': (*_CONVOLUTION, _FUSED),
        'DEPTHWISE_CONV_2D': (*_CONVOLUTION, _FUSED, _DEPTHWISE),
        'TRANSPOSE_CONV': _CONVOLUTION,
        'CUMSUM': (types_in({'FLOAT16', 'FLOAT32'}), _AXES),
        'DENSIFY': (num_runtime_inputs(0), num_outputs(1, 1)),
        **rules_for(('DEPTH_TO_SPACE', 'SPACE_TO_DEPTH'), *_ONE, _BLOCK),
        'DEQUANTIZE': (
            num_inputs(1, 1),
            num_outputs(1, 1),
            types_in(('INT8', 'UINT8', 'INT4', 'FLOAT16', 'INT32', 'FLOAT32')),
        ),
        'EMBEDDING_LOOKUP': (num_inputs(2, 2), ranks_in(1), types_in(('INT8', 'INT4', 'FLOAT32'), 1)),
        'FULLY_CONNECTED': (option_in('weightsFormat', 0), num_runtime_inputs(1, 2), _KEEPS_RANK),
        'GATHER': _GATHERS,
        'LSTM': (option_in('fusedActivationFunction', 4),),
        **rules_for(
            (*('MEAN', 'SUM', 'REDUCE_ALL', 'REDUCE_ANY', 'REDUCE_MAX', 'REDUCE_MIN', 'REDUCE_PROD', 'REVERSE_V2'),),
            *_ONE,
            _AXES,
        ),
        **rules_for(('PAD', 'PADV2'), *_ONE, _PADS),
        'MIRROR_PAD': (*_ONE, option_in('mode', 0), _PADS),
        **rules_for(
            ('SELECT', 'SELECT_V2'), Condition('choices that are scalars or of the shape of the output', _selects)
        ),
        **rules_for(('QUANTIZE', 'RESHAPE', 'TILE', 'TRANSPOSE', 'HARD_SWISH'), *_ONE),
        **rules_for(('RESIZE_BILINEAR', 'RESIZE_NEAREST_NEIGHBOR'), *_ONE, _CORNERS),
        'SLICE': (num_inputs(3, 3), ranks_in(3, 4)),
        'SOFTMAX': (option_in('beta', 1),),
        'STRIDED_SLICE': (*_NO_MASKS, num_inputs(4, 4), ranks_in(3, 4)),
        'TOPK_V2': (num_runtime_inputs(1), num_outputs(2, 2)),
        **rules_for(
            (
                *('ABS', 'CEIL', 'COS', 'ELU', 'EXP', 'FLOOR', 'GELU', 'LOG', 'LOGICAL_NOT', 'LOGISTIC', 'NEG'),
                *('ROUND', 'RSQRT', 'SIGN', 'SIN', 'SQRT', 'SQUARE', 'TANH'),
            ),
            *_NO_CONSTANTS,
        ),
        **rules_for(
            (
                *('ATAN2', 'DIV', 'EQUAL', 'FLOOR_DIV', 'FLOOR_MOD', 'GREATER', 'GREATER_EQUAL', 'LOGICAL_AND'),
                *('LOGICAL_OR', 'LESS', 'LESS_EQUAL', 'MAXIMUM', 'MINIMUM', 'NOT_EQUAL', 'POW', 'RIGHT_SHIFT'),
                *('SQUARED_DIFFERENCE', 'SUB'),
            ),
            *_ELEMENTWISE,
        ),
    },
    (ranks_at_most(4),),
)
