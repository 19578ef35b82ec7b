"""Files that take raw pixels: the normalisation of the images becomes part of the exported file.

Files that compute in float contain the operations of the normalisation. In an int8 file, every pixel is a code: a
normalisation `a * pixel + b` with an integral zero point `-b / a` is the quantization of the input itself (Jacob et
al. 2018, eq. 1: value = scale * (code - zero point)) and costs nothing; any other affine map of the channels is a
convolution of 1x1, which rounds once.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras
from ai_edge_litert import schema_py_generated as schema

from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.graph import flatten

PIXEL_VALUES = 256
TOLERANCE = 1e-5
"""Accepted difference of a normalisation from an affine map, as a share of the range of its values."""
INTEGRAL = 1e-3
"""Accepted difference of a zero point from an integer."""
BATCH_SIZE = 256

Function = Callable[[tf.Tensor], tf.Tensor]


def as_pixels(images: np.ndarray) -> np.ndarray:
    """Images of values 0 to 255 as uint8, rounded to the nearest integer.

    Raises:
      UsageError: there are other values.
    """
    if images.dtype == np.uint8:
        return images
    rounded = np.rint(np.asarray(images, np.float32))
    is_share = images.max() <= 1 and bool((images != rounded).any())
    if is_share or rounded.min() < 0 or rounded.max() >= PIXEL_VALUES:  # NaN is refused when the data are read
        raise UsageError(
            f'--export_input=uint8: the images have values from {images.min():g} to {images.max():g} before they are '
            'normalised, and pixels have 0 to 255; give --export_input=normalised'
        )
    return rounded.astype(np.uint8)


@dataclasses.dataclass(frozen=True, eq=False)
class AffineMap:
    """`values = pixels @ matrix + offset` for each pixel of an image.

    Attributes:
      matrix: float64 `[channels, channels]`.
      offset: float64 `[channels]`.
    """

    matrix: np.ndarray
    offset: np.ndarray

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        values: np.ndarray = pixels @ self.matrix + self.offset
        return values

    @property
    def scales(self) -> np.ndarray | None:
        """The factor of each channel; None if channels are mixed or exchanged."""
        diagonal = np.diag(self.matrix)
        return diagonal if np.array_equal(self.matrix, np.diag(diagonal)) else None

    @property
    def quantization(self) -> tuple[float, int] | None:
        """(scale, zero point) with which uint8 codes are pixels: `values = scale * (pixels - zero point)`.

        None if the map is not of this form: the channels differ, or the zero point is no integer from 0 to 255.
        """
        scales = self.scales
        if scales is None or np.ptp(scales) > TOLERANCE * scales[0] or scales[0] <= 0:
            return None
        zeros = -self.offset / scales
        zero_point = int(np.rint(zeros[0]))
        is_exact = np.abs(zeros - zero_point).max() < INTEGRAL and 0 <= zero_point < PIXEL_VALUES
        return (float(scales[0]), zero_point) if is_exact else None


def affine_map(normalize: Function, image_shape: Sequence[int]) -> AffineMap | None:
    """The affine map of single pixels that a normalisation is; None if it is another function.

    It is evaluated on images of one value, and the map is compared with it on random images.

    Args:
      normalize: `[N, height, width, channels]`, uint8 or float32 -> float32 of the same shape.
      image_shape: (height, width, channels).
    """
    num_channels = image_shape[-1]
    probes = np.zeros((1 + num_channels, *image_shape), np.uint8)
    for channel in range(num_channels):
        probes[1 + channel, ..., channel] = PIXEL_VALUES - 1
    offset, *responses = np.asarray(normalize(tf.constant(probes)), np.float64)[:, 0, 0]
    found = AffineMap((np.array(responses) - offset) / (PIXEL_VALUES - 1), offset)
    images = np.random.default_rng(0).integers(0, PIXEL_VALUES, (4, *image_shape), np.uint8)
    values = np.asarray(normalize(tf.constant(images)), np.float64)
    range_of_values = np.ptp(values) or 1.0
    found.matrix[np.abs(found.matrix) < TOLERANCE * np.abs(found.matrix).max()] = 0
    same = values.shape == images.shape and np.abs(values - found(images)).max() <= TOLERANCE * range_of_values
    return found if same else None


@dataclasses.dataclass(frozen=True, eq=False)
class Front:
    """What a program does with its input before the network, and what the quantizer has to know of it.

    Attributes:
      function: maps the input of the program to that of the network.
      dtype: of the input of the program.
      prepared: converts the calibration data to inputs of the program.
      input_range: for int8, the values of the uint8 codes 0 and 255 of the input; None: int8 codes of the range that
        the calibration finds.
    """

    function: Function = tf.identity
    dtype: tf.DType = tf.float32
    prepared: Callable[[np.ndarray], np.ndarray] = np.asarray
    input_range: tuple[float, float] | None = None

    def is_in(self, content: bytes) -> bool:
        """Whether a file has the range of the input, which the quantizer may have combined with other tensors'."""
        if self.input_range is None:
            return True
        model = schema.Model.GetRootAs(content, 0)
        found = model.Subgraphs(0).Tensors(model.Subgraphs(0).Inputs(0)).Quantization()
        low, high = self.input_range
        scale = (high - low) / (PIXEL_VALUES - 1)
        is_scale = abs(found.Scale(0) - scale) <= TOLERANCE * scale
        return bool(is_scale and found.ZeroPoint(0) == round(-low / scale))


PLAIN = Front()
"""The network takes the input as it is."""


@dataclasses.dataclass(frozen=True, eq=False)
class PixelInput:
    """The normalisation of images, for files that contain it.

    Attributes:
      normalize: images `[N, height, width, channels]` of the given type -> float32.
      dtype: the type of the images that it takes.
      image_shape: (height, width, channels).
    """

    normalize: Function
    dtype: tf.DType
    image_shape: tuple[int, ...]

    def of_pixels(self, pixels: tf.Tensor) -> tf.Tensor:
        """The normalised values of uint8 pixels."""
        return self.normalize(tf.cast(pixels, self.dtype))

    def normalised(self, pixels: np.ndarray) -> np.ndarray:
        """As `of_pixels`, for arrays of any length."""
        parts = [self.of_pixels(pixels[start : start + BATCH_SIZE]) for start in range(0, len(pixels), BATCH_SIZE)]
        return np.concatenate(parts)

    def with_float_pixels(self, model: keras.Model) -> keras.Model | None:
        """The network behind a layer that normalises float32 pixels; None if the normalisation is no affine map."""
        if self.affine is None:
            return None
        inputs, scales = keras.Input(self.image_shape), self.affine.scales
        if scales is not None:
            layer = keras.layers.Rescaling(scales.tolist(), self.affine.offset.tolist())
            return flatten(keras.Model(inputs, model(layer(inputs)), name=model.name))
        layer = keras.layers.Dense(self.image_shape[-1])
        whole = keras.Model(inputs, model(layer(inputs)), name=model.name)
        layer.set_weights([self.affine.matrix, self.affine.offset])
        return flatten(whole)

    @property
    def of_plain_pixels(self) -> PixelInput:
        """That of a network which normalises pixels itself."""
        return PixelInput(lambda pixels: tf.cast(pixels, tf.float32), tf.uint8, self.image_shape)

    @functools.cached_property
    def affine(self) -> AffineMap | None:
        return affine_map(self.of_pixels, self.image_shape)

    def fronts(self, file_format: str, holds_ranges: bool) -> list[Front]:
        """What programs may begin with, the best first.

        Args:
          file_format: 'int8', or one that computes its inputs in float.
          holds_ranges: whether the network was trained for int8, so that the range of its own input is fixed.

        Raises:
          PocketFlowError: the normalisation has no int8 arithmetic.
        """
        if file_format != 'int8':
            return [Front(self.of_pixels, tf.uint8)]
        if self.affine is None:
            raise PocketFlowError(
                'the int8 file cannot take uint8 pixels, because the images are not normalised pixel by pixel with '
                'fixed numbers; give --export_input=normalised, or choose other --export_formats'
            )
        convolution = Front(
            functools.partial(_convolution, self.affine, holds_ranges),
            prepared=lambda pixels: np.asarray(pixels, np.float32),
            input_range=(0.0, PIXEL_VALUES - 1.0),
        )
        if holds_ranges or self.affine.quantization is None:
            return [convolution]
        scale, zero_point = self.affine.quantization
        ends = (-scale * zero_point, scale * (PIXEL_VALUES - 1 - zero_point))
        return [Front(prepared=self.normalised, input_range=ends), convolution]


def _convolution(affine: AffineMap, holds_ranges: bool, pixels: tf.Tensor) -> tf.Tensor:
    """The map as a convolution of 1x1, depthwise if it mixes no channels.

    Args:
      affine: the map.
      holds_ranges: whether the ranges of the program are in the program, so that it has to hold that of the pixels,
        and the rounded kernel.
      pixels: float32 `[N, height, width, channels]`.
    """
    scales, offset = affine.scales, affine.offset.astype(np.float32)
    if holds_ranges:
        from pocketflow.utils.quantization.int8.conversion import (
            FixedConvolution,  # loads TensorFlow Model Optimization
        )

        pixels = tf.quantization.fake_quant_with_min_max_args(pixels, 0.0, PIXEL_VALUES - 1.0)
        kernel = affine.matrix if scales is None else scales
        return FixedConvolution(kernel, offset, 'normalisation')(pixels)
    if scales is None:
        return tf.nn.conv2d(pixels, affine.matrix[None, None].astype(np.float32), 1, 'VALID') + offset
    kernel = scales[None, None, :, None].astype(np.float32)
    return tf.nn.depthwise_conv2d(pixels, kernel, (1, 1, 1, 1), 'VALID') + offset
