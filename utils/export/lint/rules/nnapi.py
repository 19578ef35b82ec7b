"""NNAPI of Android: the checks of its delegate for Android 12 and later (feature level 5 and later).

Drivers of NPUs take a subset of this, which each vendor decides. NNAPI is deprecated since Android 15; its successors
for NPUs have similar limits.
"""

from __future__ import annotations

from pocketflow.utils.export.lint.graph import Operation
from pocketflow.utils.export.lint.rules.conditions import (
    activation_in,
    constant,
    has_fixed_shapes,
    is_hybrid,
    num_inputs,
    option_in,
    output_types_in,
    ranks_at_most,
    ranks_in,
    types_in,
    version_at_most,
)
from pocketflow.utils.export.lint.rules.rule import Condition, DelegateRules, Source, rules_for

SOURCES = (
    Source(
        'LiteRT, tflite/delegates/nnapi/nnapi_delegate.cc: NNAPIDelegateKernel::Validate',
        'https://github.com/google-ai-edge/LiteRT/blob/main/tflite/delegates/nnapi/nnapi_delegate.cc',
        '2026-11',
    ),
    Source(
        'Android NDK, Neural Networks API: operations and limits',
        'https://developer.android.com/ndk/reference/group/neural-networks',
        '2026-11',
    ),
)
_FLOAT = types_in(('FLOAT32', 'FLOAT16'))
_FLOAT32 = types_in(('FLOAT32',))
_KIND = types_in(('FLOAT32', 'FLOAT16', 'INT8', 'UINT8'))
_KIND_OR_INTEGER = types_in(('FLOAT32', 'FLOAT16', 'INT8', 'UINT8', 'INT32'))
_NO_FUSED_INTEGER = Condition(
    'no fused activation for int32',
    lambda operation: (
        operation.inputs[0] is not None
        and (operation.inputs[0].type != 'INT32' or not operation.options.get('fusedActivationFunction'))
    ),
)
_NO_SCALAR = Condition('an output that is no scalar', lambda operation: operation.outputs[0].rank > 0)
_ARITHMETIC = (_KIND_OR_INTEGER, _NO_FUSED_INTEGER, ranks_at_most(4))
_BIAS = Condition('a bias (an operand, even if it is zero)', lambda operation: len(operation.inputs) == 3)
_NOT_HYBRID = Condition('weights of the type of the activations', lambda operation: not is_hybrid(operation))
_NO_LAST_AXIS = Condition(
    'another axis than the last one',
    lambda operation: (
        operation.inputs[0] is not None and operation.options.get('axis') not in (-1, operation.inputs[0].rank - 1)
    ),
)


def _crops_nothing(operation: Operation) -> bool:
    crops = operation.inputs[2]
    values = None if crops is None else crops.values()
    return values is not None and values.size == 4 and not values.any()


def _condition_is_as_large(operation: Operation) -> bool:
    first, second = operation.inputs[:2]
    return first is not None and second is not None and first.shape == second.shape


NNAPI = DelegateRules(
    'nnapi',
    'NNAPI',
    SOURCES,
    {
        'ADD': (version_at_most(2), *_ARITHMETIC),
        'MUL': (version_at_most(3), *_ARITHMETIC),
        'SUB': (version_at_most(3), *_ARITHMETIC),
        'DIV': (version_at_most(1), _FLOAT32, ranks_at_most(4)),
        'SQUARED_DIFFERENCE': (version_at_most(2), _KIND_OR_INTEGER, ranks_at_most(4)),
        **rules_for(('ARG_MAX', 'ARG_MIN'), version_at_most(2), _KIND_OR_INTEGER, output_types_in(('INT32',))),
        **rules_for(
            ('AVERAGE_POOL_2D', 'MAX_POOL_2D', 'RELU', 'RELU6', 'RELU_N1_TO_1', 'LOGISTIC'), version_at_most(2), _KIND
        ),
        'TANH': (version_at_most(2), _KIND),
        'HARD_SWISH': (_KIND,),
        'L2_POOL_2D': (version_at_most(1), _FLOAT),
        'CONV_2D': (version_at_most(5), _BIAS),
        'DEPTHWISE_CONV_2D': (version_at_most(3),),
        'TRANSPOSE_CONV': (version_at_most(4), constant(0, 1, name='output size and kernel')),
        'FULLY_CONNECTED': (version_at_most(5), output_types_in(('FLOAT32', 'INT8', 'UINT8', 'FLOAT16'))),
        'SOFTMAX': (version_at_most(2), _KIND, ranks_at_most(4)),
        'RESHAPE': (version_at_most(1), _KIND_OR_INTEGER, ranks_at_most(4), constant(1, name='shape')),
        **rules_for(
            ('RESIZE_BILINEAR', 'RESIZE_NEAREST_NEIGHBOR'),
            version_at_most(3),
            ranks_in(4),
            _KIND,
            constant(1, name='size'),
        ),
        'SQUEEZE': (version_at_most(1),),
        **rules_for(
            ('UNIDIRECTIONAL_SEQUENCE_LSTM', 'UNIDIRECTIONAL_SEQUENCE_RNN', 'BIDIRECTIONAL_SEQUENCE_LSTM'),
            version_at_most(2),
            _NOT_HYBRID,
        ),
        'L2_NORMALIZATION': (version_at_most(2), activation_in(0)),
        'LOCAL_RESPONSE_NORMALIZATION': (version_at_most(1),),
        'CONCATENATION': (version_at_most(2), activation_in(0), ranks_at_most(4), _KIND),
        'DEQUANTIZE': (types_in(('INT8', 'UINT8', 'FLOAT16')),),
        'DENSIFY': (constant(0, name='weights'),),
        'FLOOR': (version_at_most(1),),
        'PAD': (version_at_most(2), _KIND),
        'PADV2': (version_at_most(2), _KIND),
        'SPACE_TO_BATCH_ND': (version_at_most(2),),
        'BATCH_TO_SPACE_ND': (version_at_most(2), Condition('crops of 0', _crops_nothing)),
        'STRIDED_SLICE': (version_at_most(2), _KIND),
        'TRANSPOSE': (version_at_most(2), constant(1, name='permutation')),
        **rules_for(('ABS', 'EXP', 'LOG', 'POW', 'SIN', 'COS', 'SQRT'), version_at_most(1), _FLOAT),
        'RSQRT': (version_at_most(2), _KIND),
        'SLICE': (version_at_most(2), _KIND_OR_INTEGER, types_in(('INT32',), 1)),
        **rules_for(('SPACE_TO_DEPTH', 'DEPTH_TO_SPACE'), version_at_most(2), _KIND),
        'MEAN': (version_at_most(2), _KIND, _NO_SCALAR, ranks_at_most(4)),
        'SUM': (version_at_most(1), _NO_SCALAR, _FLOAT32),
        'REDUCE_PROD': (version_at_most(1), _NO_SCALAR, _FLOAT32),
        **rules_for(('REDUCE_MAX', 'REDUCE_MIN'), version_at_most(2), _KIND),
        'REDUCE_ANY': (version_at_most(2), _NO_SCALAR),
        'EMBEDDING_LOOKUP': (version_at_most(1), types_in(('FLOAT32',), 1)),
        **rules_for(('MAXIMUM', 'MINIMUM'), version_at_most(3), _KIND_OR_INTEGER),
        'CAST': (version_at_most(1), _KIND_OR_INTEGER, output_types_in(('FLOAT32', 'INT32', 'INT8', 'UINT8'))),
        **rules_for(('LEAKY_RELU', 'PRELU'), version_at_most(1), _KIND),
        'TILE': (version_at_most(1), _KIND_OR_INTEGER),
        **rules_for(('LOGICAL_OR', 'LOGICAL_AND', 'LOGICAL_NOT'), version_at_most(1), types_in(('BOOL',))),
        **rules_for(
            ('LESS', 'LESS_EQUAL', 'GREATER', 'GREATER_EQUAL', 'EQUAL', 'NOT_EQUAL'),
            version_at_most(2),
            types_in(('FLOAT32', 'INT8', 'UINT8', 'INT32', 'BOOL')),
        ),
        'NEG': (version_at_most(2), types_in(('FLOAT32', 'INT32'))),
        'TOPK_V2': (version_at_most(2), _KIND_OR_INTEGER, constant(1, name='k')),
        'SELECT': (version_at_most(2), Condition('a condition of the shape of the choices', _condition_is_as_large)),
        'GATHER': (version_at_most(2), _KIND_OR_INTEGER, types_in(('INT32',), 1)),
        'EXPAND_DIMS': (version_at_most(1), _KIND_OR_INTEGER, constant(1, name='axis')),
        'SPLIT': (version_at_most(3), types_in(('FLOAT32', 'INT8', 'UINT8', 'INT32'), 1), constant(0, name='axis')),
        'SPLIT_V': (version_at_most(2), _KIND_OR_INTEGER, constant(1, 2, name='sizes and axis')),
        'LOG_SOFTMAX': (version_at_most(1), _FLOAT32),
        'QUANTIZE': (version_at_most(2), output_types_in(('INT8', 'UINT8'))),
        'ELU': (version_at_most(1), _FLOAT32),
        'FILL': (version_at_most(1), constant(0, name='shape')),
        'PACK': (version_at_most(2), _KIND_OR_INTEGER),
        'UNPACK': (version_at_most(2), _KIND, ranks_in(2, 3, 4), _NO_LAST_AXIS),
        'BATCH_MATMUL': (
            version_at_most(2),
            types_in(('FLOAT32', 'INT8', 'INT32')),
            option_in('asymmetricQuantizeInputs', False),
        ),
        'LSTM': (version_at_most(3), num_inputs(20, 24)),
    },
    (has_fixed_shapes(),),
)
