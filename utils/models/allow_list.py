"""Allow-list of the classes and functions that a model file may name; everything else is rejected.

The names are listed explicitly instead of being taken from Keras' modules: a module also holds functions that read
files or run code, and a later release may add more of them. In addition, classes and functions are accepted that this
program, or the user's own `--model_helper` file, has registered with Keras: that code is loaded already.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

import tf_keras as keras


def names_in(text: str) -> frozenset[str]:
    """Splits a text at white space."""
    return frozenset(text.split())


LAYERS = names_in("""
    InputLayer Activation ELU LeakyReLU PReLU ReLU Softmax ThresholdedReLU
    Dense EinsumDense Embedding Identity Masking
    Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose DepthwiseConv1D DepthwiseConv2D
    SeparableConv1D SeparableConv2D
    Add Average Concatenate Dot Maximum Minimum Multiply Subtract
    AdditiveAttention Attention MultiHeadAttention
    BatchNormalization GroupNormalization LayerNormalization SpectralNormalization UnitNormalization
    AveragePooling1D AveragePooling2D AveragePooling3D MaxPooling1D MaxPooling2D MaxPooling3D
    GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
    GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D
    Flatten Permute RepeatVector Reshape Cropping1D Cropping2D Cropping3D
    UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
    ActivityRegularization AlphaDropout Dropout GaussianDropout GaussianNoise
    SpatialDropout1D SpatialDropout2D SpatialDropout3D
    RNN GRU GRUCell LSTM LSTMCell SimpleRNN SimpleRNNCell StackedRNNCells Bidirectional TimeDistributed
    ConvLSTM1D ConvLSTM2D ConvLSTM3D
    CenterCrop Rescaling Resizing Normalization CategoryEncoding Discretization HashedCrossing Hashing
    RandomBrightness RandomContrast RandomCrop RandomFlip RandomHeight RandomRotation RandomTranslation RandomWidth
    RandomZoom
""")
"""Accepted classes of `keras.layers`."""

REFUSED_LAYERS = {
    'Lambda': 'holds code',
    'TFSMLayer': 'loads another file',
    'StringLookup': 'may load a vocabulary file',
    'IntegerLookup': 'may load a vocabulary file',
    'TextVectorization': 'may load a vocabulary file',
}
"""Well-known layers that are rejected -> reason."""

INITIALIZERS = names_in("""
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform Ones Orthogonal
    RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros
""")
REGULARIZERS = names_in('L1 L2 L1L2 OrthogonalRegularizer')
CONSTRAINTS = names_in('MaxNorm MinMaxNorm NonNeg RadialConstraint UnitNorm')
ACTIVATIONS = names_in("""
    elu exponential gelu hard_sigmoid leaky_relu linear mish relu relu6 selu sigmoid silu softmax softplus softsign
    swish tanh
""")

MODELS = names_in('Sequential Functional Model')
OPERATION_LAYERS = names_in('TFOpLambda SlicingOpLambda')
"""Layers by which Keras represents a TensorFlow function called on the output of a layer."""

_FUNCTIONAL_MODULES = names_in('tf_keras.src.engine.functional keras.src.engine.functional')
_OPERATION_MODULES = names_in('tf_keras.src.layers.core.tf_op_layer keras.src.layers.core.tf_op_layer')

CLASSES = {
    'keras': names_in('Sequential Functional Model'),
    **dict.fromkeys(_FUNCTIONAL_MODULES, names_in('Functional')),
    **dict.fromkeys(_OPERATION_MODULES, OPERATION_LAYERS),
    'keras.layers': LAYERS,
    'keras.initializers': INITIALIZERS,
    'keras.regularizers': REGULARIZERS,
    'keras.constraints': CONSTRAINTS,
    'keras.mixed_precision': names_in('Policy'),
    'tensorflow.python.ops.init_ops_v2': INITIALIZERS,  # tf.initializers, used by some of keras.applications
    'tf_keras.src.applications.convnext': names_in('LayerScale StochasticDepth'),
    'keras.src.applications.convnext': names_in('LayerScale StochasticDepth'),
}
"""Module name in a `.keras` file -> accepted classes of it."""

LEGACY_CLASSES = frozenset().union(*CLASSES.values())
"""Accepted class names in files of older releases (`.h5`), which store no module."""

_MATHS = names_in("""
    abs acos acosh add add_n argmax argmin asin asinh atan atan2 atanh ceil cos cosh cumprod cumsum
    cumulative_logsumexp divide divide_no_nan equal erf erfc erfinv exp expm1 floor floordiv floormod greater
    greater_equal is_finite is_inf is_nan l2_normalize less less_equal lgamma log log1p log_sigmoid log_softmax
    logical_and logical_not logical_or logical_xor maximum minimum mod multiply multiply_no_nan negative not_equal pow
    reciprocal reciprocal_no_nan reduce_all reduce_any reduce_euclidean_norm reduce_logsumexp reduce_max reduce_mean
    reduce_min reduce_prod reduce_std reduce_sum reduce_variance rint round rsqrt scalar_mul sigmoid sign sin sinh
    softmax softplus softsign sqrt square squared_difference subtract tan tanh top_k truediv xdivy xlog1py xlogy
    zero_fraction
""")
_NETWORKS = names_in("""
    atrous_conv2d avg_pool avg_pool1d avg_pool2d avg_pool3d batch_normalization bias_add conv1d conv1d_transpose conv2d
    conv2d_transpose conv3d conv3d_transpose conv_transpose convolution crelu depth_to_space depthwise_conv2d
    depthwise_conv2d_native dilation2d dropout elu embedding_lookup erosion2d gelu l2_normalize leaky_relu
    local_response_normalization log_softmax lrn max_pool max_pool1d max_pool2d max_pool3d moments pool relu relu6 selu
    separable_conv2d sigmoid silu softmax softplus softsign space_to_batch space_to_depth swish tanh top_k
    weighted_moments zero_fraction
""")
_MATRICES = names_in("""
    adjoint band_part cholesky cross det diag diag_part einsum expm inv l2_normalize matmul matrix_transpose matvec norm
    normalize set_diag solve tensor_diag tensor_diag_part tensordot trace triangular_solve
""")
_IMAGES = names_in("""
    adjust_brightness adjust_contrast adjust_gamma adjust_hue adjust_saturation central_crop convert_image_dtype
    crop_and_resize crop_to_bounding_box extract_patches flip_left_right flip_up_down grayscale_to_rgb hsv_to_rgb
    pad_to_bounding_box per_image_standardization resize resize_bicubic resize_bilinear resize_nearest_neighbor
    resize_with_crop_or_pad resize_with_pad rgb_to_grayscale rgb_to_hsv rgb_to_yuv rot90 sobel_edges transpose
    yuv_to_rgb
""")
_TENSORS = names_in("""
    argsort batch_to_space boolean_mask broadcast_to cast clip_by_norm clip_by_value concat convert_to_tensor
    depth_to_space div einsum ensure_shape expand_dims floor_div gather gather_nd identity norm one_hot ones_like pad
    rank repeat reshape reverse reverse_sequence roll searchsorted sequence_mask shape size slice sort space_to_batch
    space_to_depth split squeeze stack stop_gradient strided_slice tensor_scatter_nd_add tensor_scatter_nd_max
    tensor_scatter_nd_min tensor_scatter_nd_sub tensor_scatter_nd_update tensordot tile transpose truncatediv
    truncatemod unstack where zeros_like
""")
_SIGNALS = names_in('dct fft fft2d frame idct ifft irfft overlap_and_add rfft stft inverse_stft')
_ROUNDING = names_in("""
    fake_quant_with_min_max_args fake_quant_with_min_max_vars fake_quant_with_min_max_vars_per_channel
    quantize_and_dequantize quantize_and_dequantize_v2
""")

FUNCTIONS = frozenset().union(
    _TENSORS,
    *(
        {f'{prefix}.{name}' for name in names}
        for prefix, names in (
            ('math', _MATHS),
            ('nn', _NETWORKS),
            ('linalg', _MATRICES),
            ('image', _IMAGES),
            ('signal', _SIGNALS),
            ('quantization', _ROUNDING),
            ('keras.activations', ACTIVATIONS),
            ('__operators__', ('add', 'eq', 'ne', 'getitem')),
        )
    ),
    _MATHS,
)  # some have a separate name in TensorFlow 1, such as compat.v1.argmax
"""Public names of TensorFlow functions that only compute from their tensor arguments.

Excluded are functions that create tensors from sizes alone (`eye`, `fill`, `range`, `linspace`, `random`), read or
write anything (`io`, `print`, `raw_ops`), or call Python (`py_function`, `numpy_function`, `map_fn`, `while_loop`).
"""

_V1 = 'compat.v1.'
_BASES = (
    keras.layers.Layer,
    keras.initializers.Initializer,
    keras.regularizers.Regularizer,
    keras.constraints.Constraint,
    keras.mixed_precision.Policy,
)
_PACKAGE = 'PocketFlow>'
"""Prefix of the registered names of this program's own classes; they include quantizers, which have no base class."""


def is_function(name: Any) -> bool:
    """Whether an operator layer may call the TensorFlow function with this public name."""
    return isinstance(name, str) and name.removeprefix(_V1) in FUNCTIONS


def is_class(module: str | None, name: str, registered: str | None) -> bool:
    """Whether a configuration may name this class.

    Args:
      module, name, registered: `module`, `class_name` and `registered_name` of its configuration; files of older
        releases have only the second.
    """
    if registered is not None and registered != name:
        return is_registered(registered)
    if module is None:
        return name in LEGACY_CLASSES or is_registered(name)
    if registered is not None and keras.saving.get_registered_object(registered) is not None:
        return is_registered(registered)  # takes precedence in Keras
    return name in CLASSES.get(module, ())


def is_registered(name: str) -> bool:
    """Whether a layer, initializer, regularizer, constraint, policy or own class is registered under this name."""
    found = keras.saving.get_registered_object(name)
    if not inspect.isclass(found) or issubclass(found, keras.Model):
        return False
    return issubclass(found, _BASES) or name.startswith(_PACKAGE)


def is_activation(name: Any, module: str | None = 'builtins') -> bool:
    """Whether a configuration may name this function as an activation; `module` is set for TensorFlow functions."""
    if not isinstance(name, str):
        return False
    if inspect.isfunction(keras.saving.get_registered_object(name)):
        return True
    if module in ('builtins', 'keras.activations'):
        return name in ACTIVATIONS
    own_module = isinstance(module, str) and module.startswith('tensorflow.python.ops.') and sys.modules.get(module)
    return bool(own_module) and f'nn.{name}' in FUNCTIONS and callable(vars(own_module).get(name))


def is_shorthand(kind: str, name: str) -> bool:
    """Whether a string is accepted in place of an object's configuration.

    Args:
      kind: 'initializer', 'regularizer', 'constraint' or 'activation'.
      name: the string, as in `kernel_initializer='he_normal'`.
    """
    if kind == 'activation':
        return is_activation(name) or name in ('ELU', 'LeakyReLU', 'PReLU', 'ReLU', 'Softmax', 'ThresholdedReLU')
    known = {'initializer': INITIALIZERS, 'regularizer': REGULARIZERS, 'constraint': CONSTRAINTS}[kind]
    return name in known or name.replace('_', '').lower() in {item.lower() for item in known} or is_registered(name)
