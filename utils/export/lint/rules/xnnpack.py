"""XNNPACK, the delegate for CPUs: the rules in its documentation.

What the runtime of this machine really takes is asked (`pocketflow.utils.export.lint.delegation`); these rules explain
the answer, and stand in where the runtime cannot be asked.
"""

from __future__ import annotations

from pocketflow.utils.export.lint.graph import Operation
from pocketflow.utils.export.lint.rules.conditions import (
    FLOAT,
    QUANTIZED,
    activation_in,
    axes,
    constant,
    has_input,
    is_hybrid,
    num_inputs,
    num_outputs,
    option_in,
    ranks_in,
    same_kind,
    types_in,
)
from pocketflow.utils.export.lint.rules.rule import Condition, DelegateRules, Source, rules_for

SOURCE = Source(
    'LiteRT, tflite/delegates/xnnpack/README.md: Limitations and supported operators',
    'https://github.com/google-ai-edge/LiteRT/blob/main/tflite/delegates/xnnpack/README.md',
    '2026-11',
)
_KIND = same_kind({'FLOAT32'}, {'INT8'}, {'UINT8'})
_FLOAT = same_kind({'FLOAT32'})
_FUSED = activation_in(0, 1, 2, 3)
_WEIGHTS = constant(1, 2, name='kernel and bias')


def _is_pool_of_one_pixel_with_stride(operation: Operation) -> bool:
    options = operation.options
    return options.get('filterHeight') == options.get('filterWidth') == 1 and (
        options.get('strideH') != 1 or options.get('strideW') != 1
    )


_POOL = Condition('no 1x1 window with a stride', lambda operation: not _is_pool_of_one_pixel_with_stride(operation))
_SPATIAL_MEAN = Condition(
    'a mean over height and width, or over width', lambda operation: axes(operation) in ((1, 2), (2,))
)
_NOT_HYBRID = Condition('weights of the type of the activations', lambda operation: not is_hybrid(operation))
_BLOCK = Condition('a block size above 1', lambda operation: operation.options.get('blockSize', 0) > 1)
_NO_MASKS = tuple(option_in(name, 0) for name in ('ellipsisMask', 'newAxisMask', 'shrinkAxisMask'))


def _strides_are_one(operation: Operation) -> bool:
    strides = operation.input(3)
    values = None if strides is None else strides.values()
    return values is not None and bool((values == 1).all())


_STRIDES = Condition('constant strides of 1', _strides_are_one)

XNNPACK = DelegateRules(
    'xnnpack',
    'XNNPACK',
    (SOURCE,),
    {
        **rules_for(
            ('ABS', 'CEIL', 'FLOOR', 'HARD_SWISH', 'NEG', 'ROUND', 'SQRT', 'SQUARE', 'SQUARED_DIFFERENCE'), _FLOAT
        ),
        **rules_for(('MAXIMUM', 'MINIMUM', 'RELU', 'RELU6', 'RELU_N1_TO_1'), _FLOAT),
        **rules_for(('ELU', 'LEAKY_RELU', 'LOGISTIC', 'TANH'), _KIND),
        **rules_for(('ADD', 'SUB', 'MUL'), _KIND, num_inputs(2, 2), _FUSED),
        'DIV': (_FLOAT, _FUSED),
        'AVERAGE_POOL_2D': (_FLOAT, _POOL, _FUSED),
        'MAX_POOL_2D': (_KIND, _POOL, _FUSED),
        'CONCATENATION': (_KIND, num_inputs(2, 4)),
        'CONV_2D': (_KIND, has_input(2, 'bias'), _WEIGHTS, _FUSED),
        'DEPTHWISE_CONV_2D': (_KIND, _NOT_HYBRID, has_input(2, 'bias'), _WEIGHTS, _FUSED),
        'FULLY_CONNECTED': (_KIND, _WEIGHTS, _FUSED),
        **rules_for(('DEPTH_TO_SPACE', 'SPACE_TO_DEPTH'), _KIND, _BLOCK),
        'DEQUANTIZE': (types_in(QUANTIZED | {'FLOAT16'}),),
        'QUANTIZE': (types_in(FLOAT | QUANTIZED),),
        'MEAN': (_KIND, ranks_in(4), constant(1, name='axes'), _SPATIAL_MEAN),
        'PAD': (_KIND, constant(1, name='paddings')),
        'PRELU': (_FLOAT, constant(1, name='slopes')),
        'RESHAPE': (_KIND, constant(1, name='shape')),
        'RESIZE_BILINEAR': (_KIND, ranks_in(4), constant(1, name='size')),
        'SLICE': (_KIND, constant(1, 2, name='begin and size')),
        'SOFTMAX': (_FLOAT, option_in('beta', 1)),
        'SPLIT': (num_outputs(2, 4),),
        'STRIDED_SLICE': (_KIND, constant(1, 2, 3, name='begin, end and strides'), _STRIDES, *_NO_MASKS),
        'TRANSPOSE': (_KIND, constant(1, name='permutation')),
        'TRANSPOSE_CONV': (constant(0, 1, 3, name='output size, kernel and bias'),),
        'DENSIFY': (constant(0, name='weights'),),
    },
)
